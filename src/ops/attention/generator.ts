// Emits the WGSL of attention for one head size: unrolled over the head, for the reason given in
// ops/linear/generator.
import { defineKernel, type Kernel } from '../../gpu/kernel.ts';

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

const PARAMS = `struct Params { rows: u32, time: u32, capacity: u32, heads: u32, kv_heads: u32, cached: u32, scale: f32 }`;
const PLACE = `let index = (group.x + group.y * groups.x) * 32u + thread;`;
const ENTRY = `@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) thread: u32) {`;

/**
 * A per-query prologue: (b, h, t) of this thread, offsets of its query row, and the keys that it
 * sees: those of its document up to itself, of which there are its position + 1. q, o (rows·time,
 * heads, D); k, v (rows, capacity, kv_heads, D), a cache being laid out by position.
 */
const query = ({ count: d }: Lanes): string => `${PLACE}
if (index >= params.rows * params.heads * params.time) { return; }
let t = index % params.time;
let head = (index / params.time) % params.heads;
let row = index / (params.time * params.heads);
let at = ((row * params.time + t) * params.heads + head) * ${d}u;
let kv = (row * params.capacity * params.kv_heads + head / (params.heads / params.kv_heads)) * ${d}u;
let stride = params.kv_heads * ${d}u;
let position = positions[row * params.time + t];
let last = select(t, min(position, params.capacity - 1u), params.cached == 1u);
let first = last - min(position, last);`;

/**
 * A head as registers: `count` of them, each four elements where the head size allows, else one.
 */
interface Lanes {
  count: number;
  type: 'vec4<f32>' | 'f32';
}

const lanesOf = (headDim: number): Lanes =>
  headDim % 4 === 0 ? { count: headDim / 4, type: 'vec4<f32>' } : { count: headDim, type: 'f32' };

const load = (name: string, from: string, at: string, { count }: Lanes): string =>
  each(count, (i) => `let ${name}${i} = ${from}[${at} + ${i}u];`);
const zeros = (name: string, { count, type }: Lanes): string =>
  each(count, (i) => `var ${name}${i} = ${type}();`);
/** Σ over the head of a·b, where both name an element by its number. */
const dot = (a: (i: number) => string, b: (i: number) => string, { count, type }: Lanes): string =>
  range(count)
    .map((i) => (type === 'f32' ? `${a(i)} * ${b(i)}` : `dot(${a(i)}, ${b(i)})`))
    .join(' + ');
const named = (name: string) => (i: number) => `${name}${i}`;
const inside = (array: string, at: string) => (i: number) => `${array}[${at} + ${i}u]`;
const each = (d: number, f: (i: number) => string): string => range(d).map(f).join('\n');

function forward(l: Lanes): string {
  const d = l.count;
  return `// Causal grouped attention with online softmax (Milakov & Gimelshein 2018; Dao 2022), keeping log-sum-exp in softmax.x. One thread a query.
@group(0) @binding(0) var<storage, read> q: array<${l.type}>;
@group(0) @binding(1) var<storage, read> k: array<${l.type}>;
@group(0) @binding(2) var<storage, read> v: array<${l.type}>;
@group(0) @binding(3) var<storage, read> positions: array<u32>;
@group(0) @binding(4) var<storage, read_write> o: array<${l.type}>;
@group(0) @binding(5) var<storage, read_write> softmax: array<vec2<f32>>;
${PARAMS}
@group(0) @binding(6) var<uniform> params: Params;
${ENTRY}
${query(l)}
${load('q_', 'q', 'at', l)}
${zeros('o_', l)}
var top = -3.4e38;
var sum = 0.0;
for (var j = first; j <= last; j++) {
let key = kv + j * stride;
${load('k_', 'k', 'key', l)}
let s = params.scale * (${dot(named('q_'), named('k_'), l)});
if (s > top) {
let shrink = exp(top - s);
sum *= shrink;
${each(d, (i) => `o_${i} *= shrink;`)}
top = s;
}
let e = exp(s - top);
sum += e;
${each(d, (i) => `o_${i} += e * v[key + ${i}u];`)}
}
${each(d, (i) => `o[at + ${i}u] = o_${i} / sum;`)}
softmax[index] = vec2<f32>(top + log(sum), 0.0);
}`;
}

function backwardQuery(l: Lanes): string {
  const d = l.count;
  return `// Attention's gradient by query: delta = Σ dO ⊙ O, p = exp(s − lse), dS = p (dO·v − delta), dQ = scale Σ dS k. softmax: (lse, delta). One thread a query.
@group(0) @binding(0) var<storage, read> q: array<${l.type}>;
@group(0) @binding(1) var<storage, read> k: array<${l.type}>;
@group(0) @binding(2) var<storage, read> v: array<${l.type}>;
@group(0) @binding(3) var<storage, read> o: array<${l.type}>;
@group(0) @binding(4) var<storage, read> d_o: array<${l.type}>;
@group(0) @binding(5) var<storage, read> positions: array<u32>;
@group(0) @binding(6) var<storage, read_write> softmax: array<vec2<f32>>;
@group(0) @binding(7) var<storage, read_write> d_q: array<${l.type}>;
${PARAMS}
@group(0) @binding(8) var<uniform> params: Params;
${ENTRY}
${query(l)}
${load('q_', 'q', 'at', l)}
${load('g_', 'd_o', 'at', l)}
let total = ${dot(named('g_'), inside('o', 'at'), l)};
let log_sum = softmax[index].x;
softmax[index].y = total;
${zeros('r_', l)}
for (var j = first; j <= last; j++) {
let key = kv + j * stride;
${load('k_', 'k', 'key', l)}
let s = params.scale * (${dot(named('q_'), named('k_'), l)});
let dp = ${dot(named('g_'), inside('v', 'key'), l)};
let ds = exp(s - log_sum) * (dp - total) * params.scale;
${each(d, (i) => `r_${i} += ds * k_${i};`)}
}
${each(d, (i) => `d_q[at + ${i}u] = r_${i};`)}
}`;
}

function backwardKey(l: Lanes): string {
  const d = l.count;
  return `// Attention's gradients by key: dK = scale Σ dS q, dV = Σ p dO over the queries of its document at or after the key, of every head
// of the group. One thread a key.
@group(0) @binding(0) var<storage, read> q: array<${l.type}>;
@group(0) @binding(1) var<storage, read> k: array<${l.type}>;
@group(0) @binding(2) var<storage, read> v: array<${l.type}>;
@group(0) @binding(3) var<storage, read> d_o: array<${l.type}>;
@group(0) @binding(4) var<storage, read> positions: array<u32>;
@group(0) @binding(5) var<storage, read> softmax: array<vec2<f32>>;
@group(0) @binding(6) var<storage, read_write> d_k: array<${l.type}>;
@group(0) @binding(7) var<storage, read_write> d_v: array<${l.type}>;
${PARAMS}
@group(0) @binding(8) var<uniform> params: Params;
${ENTRY}
${PLACE}
if (index >= params.rows * params.kv_heads * params.time) { return; }
let t = index % params.time;
let kv_head = (index / params.time) % params.kv_heads;
let row = index / (params.time * params.kv_heads);
let key = ((row * params.time + t) * params.kv_heads + kv_head) * ${d}u;
let shared_by = params.heads / params.kv_heads;
${load('k_', 'k', 'key', l)}
${load('v_', 'v', 'key', l)}
${zeros('a_', l)}
${zeros('b_', l)}
for (var head = kv_head * shared_by; head < (kv_head + 1u) * shared_by; head++) {
for (var i = t; i < params.time; i++) {
if (positions[row * params.time + i] + t < i) { break; }
let at = ((row * params.time + i) * params.heads + head) * ${d}u;
let kept = softmax[(row * params.heads + head) * params.time + i];
${load('q_', 'q', 'at', l)}
${load('g_', 'd_o', 'at', l)}
let p = exp(params.scale * (${dot(named('q_'), named('k_'), l)}) - kept.x);
let ds = p * (${dot(named('g_'), named('v_'), l)} - kept.y) * params.scale;
${each(d, (i) => `a_${i} += ds * q_${i};\nb_${i} += p * g_${i};`)}
}
}
${each(d, (i) => `d_k[key + ${i}u] = a_${i};\nd_v[key + ${i}u] = b_${i};`)}
}`;
}

/** The kernels of one head size. */
export interface AttentionKernels {
  forward: Kernel;
  backwardQuery: Kernel;
  backwardKey: Kernel;
}

const made = new Map<number, AttentionKernels>();

/** Attention's kernels for head size D. */
export function attentionKernels(d: number): AttentionKernels {
  let known = made.get(d);
  if (!known) {
    const lanes = lanesOf(d);
    known = {
      forward: defineKernel(`attention_${d}`, forward(lanes)),
      backwardQuery: defineKernel(`attention_dq_${d}`, backwardQuery(lanes)),
      backwardKey: defineKernel(`attention_dkv_${d}`, backwardKey(lanes)),
    };
    made.set(d, known);
  }
  return known;
}
