// Emits the WGSL of the register-blocked products: unrolled text, because a private array indexed
// by a loop variable is slow everywhere.
import { defineKernel, type Kernel } from '../../gpu/kernel.ts';
import { isBlockType } from '../../util/blocks.ts';
import {
  at,
  type Block,
  lines,
  type Phase,
  range,
  scalarBody,
  vectorBody,
  xyzw,
} from './bodies.ts';
import { type Packing, UNPACK, weights4 } from './packing.ts';

/**
 * How a product is computed: 4-lane subgroups that broadcast, one thread alone, or tiles in
 * workgroup memory.
 */
export type Variant = 'subgroup' | 'register' | 'tile';

/**
 * What a product multiplies. Left: `row` is (M, K), `col` is (K, M). Right: `row` is (N, K), `col`
 * is (K, N). `second` adds α₂·A₂·B₂ with A₂ (M, K₂) and B₂ in f32, into the same registers; `bias`
 * adds a vector (N). `vector` and `vector2` say whether a phase's starts, strides and sizes allow
 * loads of four elements.
 */
export interface Form {
  left: 'row' | 'col';
  right: 'row' | 'col';
  packing: Packing;
  second: 'row' | 'col' | null;
  bias: boolean;
  vector: boolean;
  vector2: boolean;
  /** As `vector`, of C. */
  vectorOut: boolean;
}

const elementType = (packing: Packing, vector: boolean): string => {
  if (packing === 'f32') return vector ? 'vec4<f32>' : 'f32';
  return vector && !isBlockType(packing) ? 'vec2<u32>' : 'u32';
};

/** Bindings and params of a form: a, b, [a2, b2], [bias], c. */
function header(form: Form): string {
  const second = elementType('f32', form.vector2);
  const storage = [
    ['a', 'read', elementType('f32', form.vector)],
    ['b', 'read', elementType(form.packing, form.vector)],
    ...(form.second
      ? [
          ['a2', 'read', second],
          ['b2', 'read', second],
        ]
      : []),
    ...(form.bias ? [['bias', 'read', 'f32']] : []),
    ['c', 'read_write', elementType('f32', form.vectorOut)],
  ];
  const params = form.second
    ? ' k2: u32, a2_start: u32, lda2: u32, b2_start: u32, ldb2: u32, alpha2: f32,'
    : '';
  return `${storage.map(([n, access, type], i) => `@group(0) @binding(${i}) var<storage, ${access}> ${n}: array<${type}>;`).join('\n')}
struct Params { m: u32, n: u32, k: u32, a_start: u32, lda: u32, b_start: u32, ldb: u32, c_start: u32, ldc: u32, alpha: f32, accumulate: u32,${params} }
@group(0) @binding(${storage.length}) var<uniform> params: Params;
${isBlockType(form.packing) ? weights4(form.packing, 'b') : ''}`;
}

const phasesOf = (form: Form): Phase[] => {
  const first: Phase = {
    left: form.left,
    right: form.right,
    packing: form.packing,
    suffix: '',
    vector: form.vector,
  };
  return form.second
    ? [
        first,
        { left: 'row', right: form.second, packing: 'f32', suffix: '2', vector: form.vector2 },
      ]
    : [first];
};

const declare = (block: Block): string =>
  lines(block.rows, (r) => lines(block.columns / 4, (v) => `var c${r}_${v} = vec4<f32>();`));

/**
 * Guarded stores of a thread's block at (m0, n0), four columns at a time where the form allows it.
 */
function store(form: Form, block: Block): string {
  const four = (r: number) => (v: number) => {
    const bias = form.bias
      ? ` + vec4<f32>(${range(4)
          .map((q) => `bias[n0 + ${4 * v + q}u]`)
          .join(', ')})`
      : '';
    return `if (n0 + ${4 * v}u < params.n) { let i = (row + n0) / 4u + ${v}u; c[i] = select(vec4<f32>(), c[i], add) + c${r}_${v}${bias}; }`;
  };
  const one = (r: number) => (j: number) => {
    const bias = form.bias ? ` + bias[n0 + ${j}u]` : '';
    return `if (n0 + ${j}u < params.n) { let i = row + n0 + ${j}u; c[i] = select(0.0, c[i], add) + c${r}_${j >> 2}.${xyzw[j & 3]}${bias}; }`;
  };
  return lines(block.rows, (r) => {
    const stores = form.vectorOut
      ? lines(block.columns / 4, four(r))
      : lines(block.columns, one(r));
    return `if (m0 + ${r}u < params.m) { let row = params.c_start + (m0 + ${r}u) * params.ldc;\n${stores}\n}`;
  });
}

function registerText(form: Form, block: Block, shared: boolean): string {
  const threads = shared ? 4 : 16;
  const place = shared
    ? `let lane = lane_id; let m0 = group.x * ${block.rows}u; let n0 = group.y * ${4 * block.columns}u + lane * ${block.columns}u;`
    : `let m0 = group.x * ${block.rows}u; let n0 = (group.y * ${threads}u + local.x) * ${block.columns}u;\nif (n0 >= params.n) { return; }`;
  const builtins = `@builtin(workgroup_id) group: vec3<u32>, ${shared ? '@builtin(subgroup_invocation_id) lane_id: u32' : '@builtin(local_invocation_id) local: vec3<u32>'}`;
  return `${shared ? 'enable subgroups;\n' : ''}${header(form)}
@compute @workgroup_size(${threads}) fn main(${builtins}) {
${place}
let add = params.accumulate != 0u;
${declare(block)}
${phasesOf(form)
  .map((p) => (p.vector ? vectorBody : scalarBody)(p, block, shared))
  .join('\n')}
${store(form, block)}
}`;
}

const TILE = 64;
const DEPTH = 16;

/**
 * Loads a DEPTH × TILE slice of one operand into workgroup memory as [k][outer], zero outside.
 * Blocks lie whole in it or outside.
 */
function tileLoad(
  name: string,
  side: 'row' | 'col',
  packing: Packing,
  s: string,
  limit: string,
  origin: string,
  scale: string,
): string {
  const array = `${name}${s}`;
  const index = at(side, `params.${array}_start`, `params.ld${name}${s}`, 'outer', 'kk');
  if (isBlockType(packing)) {
    // Each of the 256 threads loads four elements along the storage's rows.
    const place =
      side === 'row'
        ? `let o = thread / 4u; let d = (thread % 4u) * 4u;`
        : `let o = (thread % 16u) * 4u; let d = thread / 16u;`;
    const spread = lines(
      4,
      (j) =>
        `tile_${name}[${side === 'row' ? `(d + ${j}u) * ${TILE}u + o` : `d * ${TILE}u + o + ${j}u`}] = v[${j}];`,
    );
    return `{ ${place} let outer = ${origin} + o; let kk = k + d;
var v = vec4<f32>(); if (outer < ${limit} && kk < params.k${s}) { v = ${scale}weights4((${index}) / 4u); }
${spread} }`;
  }
  const [low, high] = packing === 'f32' ? [] : UNPACK[packing](`${array}[i / 2u]`);
  const word = packing === 'f32' ? `${array}[i]` : `select(${low}, ${high}, (i & 1u) == 1u)`;
  const split =
    side === 'row'
      ? `let o = e / ${DEPTH}u; let d = e % ${DEPTH}u;`
      : `let o = e % ${TILE}u; let d = e / ${TILE}u;`;
  return `for (var e = thread; e < ${TILE * DEPTH}u; e += 256u) { ${split} let outer = ${origin} + o; let kk = k + d;
var v = 0.0; if (outer < ${limit} && kk < params.k${s}) { let i = ${index}; v = ${scale}${word}; } tile_${name}[d * ${TILE}u + o] = v; }`;
}

function tileText(form: Form): string {
  const block: Block = { rows: 4, columns: 4 };
  const phase = (p: Phase): string => `for (var k = 0u; k < params.k${p.suffix}; k += ${DEPTH}u) {
${tileLoad('a', p.left, 'f32', p.suffix, 'params.m', 'm_tile', `params.alpha${p.suffix} * `)}
${tileLoad('b', p.right, p.packing, p.suffix, 'params.n', 'n_tile', '')}
workgroupBarrier();
for (var d = 0u; d < ${DEPTH}u; d++) {
let w = vec4<f32>(${range(4)
    .map((j) => `tile_b[d * ${TILE}u + tx * 4u + ${j}u]`)
    .join(', ')});
${lines(4, (r) => `c${r}_0 += tile_a[d * ${TILE}u + ty * 4u + ${r}u] * w;`)}
}
workgroupBarrier();
}`;
  return `${header(form)}
var<workgroup> tile_a: array<f32, ${TILE * DEPTH}>;
var<workgroup> tile_b: array<f32, ${TILE * DEPTH}>;
@compute @workgroup_size(256) fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
let m_tile = group.x * ${TILE}u; let n_tile = group.y * ${TILE}u; let tx = thread % 16u; let ty = thread / 16u;
let m0 = m_tile + ty * 4u; let n0 = n_tile + tx * 4u;
let add = params.accumulate != 0u;
${declare(block)}
${phasesOf(form).map(phase).join('\n')}
${store(form, block)}
}`;
}

/** A product kernel and the rows and columns of C that one workgroup covers. */
export interface ProductKernel {
  kernel: Kernel;
  tile: { rows: number; columns: number };
}

const made = new Map<string, ProductKernel>();

/**
 * The kernel of a form in a variant. `block` is for `subgroup` (rows a multiple of 4) and
 * `register`; columns a multiple of 4.
 */
export function productKernel(form: Form, variant: Variant, block: Block): ProductKernel {
  const second = form.second ? `+${form.second}${form.vector2 ? '4' : ''}` : '';
  const out = form.vectorOut ? '' : '_unaligned';
  const size = variant === 'tile' ? '' : `_${block.rows}x${block.columns}`;
  const name = `product_${form.left}_${form.right}${form.vector ? '4' : ''}${second}${form.bias ? '+bias' : ''}_${form.packing}_${variant}${size}${out}`;
  let known = made.get(name);
  if (!known) {
    const text =
      variant === 'tile' ? tileText(form) : registerText(form, block, variant === 'subgroup');
    const threads = variant === 'subgroup' ? 4 : 16;
    const tile =
      variant === 'tile'
        ? { rows: TILE, columns: TILE }
        : { rows: block.rows, columns: threads * block.columns };
    known = { kernel: defineKernel(name, text), tile };
    made.set(name, known);
  }
  return known;
}
