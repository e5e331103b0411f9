// Attention by one thread a query (forward, dQ) or a key (dK, dV), for any head size. Unrolled over
// the head, because in software renderers a private array indexed by a loop variable is slow.
import { defineKernel, kernelNamed } from '../../gpu/kernel.ts';
import { each, indented, range } from '../../gpu/wgsl.ts';
import type { Variant } from '../../graph/family.ts';
import { type Attention, pairsOf } from './case.ts';

const THREADS = 32;

/** A head as registers: `count` of them, of four elements where the head size allows, else one. */
interface Lanes {
  count: number;
  type: 'vec4<f32>' | 'f32';
}

const lanesOf = (headDim: number): Lanes =>
  headDim % 4 === 0 ? { count: headDim / 4, type: 'vec4<f32>' } : { count: headDim, type: 'f32' };

/** Declares the bindings, of lanes where no other element is given, and the params. */
function header(about: string, bindings: readonly string[], { type }: Lanes): string {
  const declare = (binding: string, i: number) => {
    const [access, name, element = type] = binding.split(' ');
    return `@group(0) @binding(${i}) var<storage, ${access}> ${name}: array<${element}>;`;
  };
  return `// ${about}
// uses: grid
${bindings.map(declare).join('\n')}
struct Params {
rows: u32, time: u32, capacity: u32, heads: u32, kv_heads: u32, cached: u32, scale: f32,
}
@group(0) @binding(${bindings.length}) var<uniform> params: Params;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
let index = flat_index(grid);`;
}

/**
 * (b, h, t) of a thread's query, offsets of its row, and the keys that it sees: those of its
 * document up to itself, of which there are its position + 1. q, o (rows·time, heads, D); k, v
 * (rows, capacity, kv_heads, D).
 */
const queryPlace = ({ count: d }: Lanes): string => `
if (index >= params.rows * params.heads * params.time) { return; }
let t = index % params.time;
let head = (index / params.time) % params.heads;
let row = index / (params.time * params.heads);
let at = ((row * params.time + t) * params.heads + head) * ${d}u;
let kv_head = head / (params.heads / params.kv_heads);
let kv = (row * params.capacity * params.kv_heads + kv_head) * ${d}u;
let stride = params.kv_heads * ${d}u;
let position = positions[row * params.time + t];
let last = select(t, min(position, params.capacity - 1u), params.cached == 1u);
let first = last - min(position, last);`;

const load = (name: string, from: string, at: string, { count }: Lanes): string =>
  each(count, (i) => `let ${name}${i} = ${from}[${at} + ${i}u];`);

const zeros = (name: string, { count, type }: Lanes): string =>
  each(count, (i) => `var ${name}${i} = ${type}();`);

/** Σ over the head of a·b, each given by the expression of its element i. */
const dot = (a: (i: number) => string, b: (i: number) => string, { count, type }: Lanes): string =>
  range(count)
    .map((i) => (type === 'f32' ? `${a(i)} * ${b(i)}` : `dot(${a(i)}, ${b(i)})`))
    .join(' + ');

const named = (name: string) => (i: number) => `${name}${i}`;
const inside = (array: string, at: string) => (i: number) => `${array}[${at} + ${i}u]`;

const ABOUT = {
  attention: `Causal grouped attention with online softmax (Milakov & Gimelshein 2018; Dao 2022),
// keeping log-sum-exp in softmax.x. One thread a query.`,
  attention_dq: `Attention's gradient by query: delta = Σ dO ⊙ O, p = exp(s − lse),
// dS = p (dO·v − delta), dQ = scale Σ dS k. softmax: (lse, delta). One thread a query.`,
  attention_dkv: `Attention's gradients by key: dK = scale Σ dS q, dV = Σ p dO over the queries of its
// document at or after the key, of every head of the group. One thread a key.`,
};

const TEXTS: Record<keyof typeof ABOUT, (l: Lanes) => string> = {
  attention: (l) => `${header(
    ABOUT.attention,
    [
      'read q',
      'read k',
      'read v',
      'read positions u32',
      'read_write o',
      'read_write softmax vec2<f32>',
    ],
    l,
  )}
${queryPlace(l)}
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
${each(l.count, (i) => `o_${i} *= shrink;`)}
top = s;
}
let e = exp(s - top);
sum += e;
${each(l.count, (i) => `o_${i} += e * v[key + ${i}u];`)}
}
${each(l.count, (i) => `o[at + ${i}u] = o_${i} / sum;`)}
softmax[index] = vec2<f32>(top + log(sum), 0.0);
}`,
  attention_dq: (l) => `${header(
    ABOUT.attention_dq,
    [
      ...['read q', 'read k', 'read v', 'read o', 'read d_o', 'read positions u32'],
      ...['read_write softmax vec2<f32>', 'read_write d_q'],
    ],
    l,
  )}
${queryPlace(l)}
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
${each(l.count, (i) => `r_${i} += ds * k_${i};`)}
}
${each(l.count, (i) => `d_q[at + ${i}u] = r_${i};`)}
}`,
  attention_dkv: (l) => `${header(
    ABOUT.attention_dkv,
    [
      ...['read q', 'read k', 'read v', 'read d_o', 'read positions u32'],
      ...['read softmax vec2<f32>', 'read_write d_k', 'read_write d_v'],
    ],
    l,
  )}
if (index >= params.rows * params.kv_heads * params.time) { return; }
let t = index % params.time;
let kv_head = (index / params.time) % params.kv_heads;
let row = index / (params.time * params.kv_heads);
let key = ((row * params.time + t) * params.kv_heads + kv_head) * ${l.count}u;
let shared_by = params.heads / params.kv_heads;
${load('k_', 'k', 'key', l)}
${load('v_', 'v', 'key', l)}
${zeros('a_', l)}
${zeros('b_', l)}
for (var head = kv_head * shared_by; head < (kv_head + 1u) * shared_by; head++) {
for (var i = t; i < params.time; i++) {
if (positions[row * params.time + i] + t < i) { break; }
let at = ((row * params.time + i) * params.heads + head) * ${l.count}u;
let kept = softmax[(row * params.heads + head) * params.time + i];
${load('q_', 'q', 'at', l)}
${load('g_', 'd_o', 'at', l)}
let p = exp(params.scale * (${dot(named('q_'), named('k_'), l)}) - kept.x);
let ds = p * (${dot(named('g_'), named('v_'), l)} - kept.y) * params.scale;
${each(l.count, (i) => `a_${i} += ds * q_${i};\nb_${i} += p * g_${i};`)}
}
}
${each(l.count, (i) => `d_k[key + ${i}u] = a_${i};\nd_v[key + ${i}u] = b_${i};`)}
}`,
};

export const thread: Variant<Attention> = {
  name: 'thread',
  can: () => true,
  record: (rec, c) => {
    const { rows, time, capacity, size, gradients, q, k, v, o, softmax, positions } = c;
    const { heads, kvHeads, headDim } = size;
    const launch = (
      kind: keyof typeof TEXTS,
      tensors: Record<string, typeof q>,
      threads: number,
      flops: number,
    ) => {
      const name = `${kind}_${headDim}`;
      const kernel = kernelNamed(name, () =>
        defineKernel(name, indented(TEXTS[kind](lanesOf(headDim))), {
          constants: { threads: THREADS },
        }),
      );
      const cached = c.cached ? 1 : 0;
      const scale = 1 / Math.sqrt(headDim);
      const params = { rows, time, capacity, heads, kv_heads: kvHeads, cached, scale };
      const workgroups = Math.ceil(threads / THREADS);
      rec.launch({ kernel, tensors, params, workgroups, flops: flops * pairsOf(c) * headDim });
    };
    const read = { q, k, v, positions, softmax };
    const tokens = rows * time;
    if (!gradients) {
      launch('attention', { ...read, o }, tokens * heads, 4);
      return;
    }
    const { d_o, d_q, d_k, d_v } = gradients;
    launch('attention_dq', { ...read, o, d_o, d_q }, tokens * heads, 6);
    launch('attention_dkv', { ...read, d_o, d_k, d_v }, tokens * kvHeads, 8);
  },
};
