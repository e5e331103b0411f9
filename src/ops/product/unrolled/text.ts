// The WGSL of the products of software renderers: everything unrolled, because there a private
// array indexed by a loop variable is slow.
import { component, each, indented, vec4 } from '../../../gpu/wgsl.ts';
import { isBlockType } from '../../../util/blocks.ts';
import type { Packing } from '../case.ts';
import { type Block, type Phase, scalarBody, vectorBody } from './body.ts';

/**
 * What a product multiplies. Left: `row` is (M, K), `col` is (K, M). Right: `row` is (N, K), `col`
 * is (K, N). `lowRank` adds α₂·A₂·B₂ with A₂ (M, K₂) and B₂ in f32, into the same registers; `bias`
 * adds a vector (N), `residual` a matrix (M, N). `vector` and `vector2` say whether a phase's starts,
 * strides and sizes allow loads of four elements.
 */
export interface Form {
  left: 'row' | 'col';
  right: 'row' | 'col';
  packing: Packing;
  lowRank: 'row' | 'col' | null;
  bias: boolean;
  residual: boolean;
  vector: boolean;
  vector2: boolean;
  /** As `vector`, of C. */
  vectorOut: boolean;
}

/** The type in which a matrix is loaded. */
function elementOf(packing: Packing, vector: boolean): string {
  if (packing === 'f32') return vector ? 'vec4<f32>' : 'f32';
  return vector && !isBlockType(packing) ? 'vec2<u32>' : 'u32';
}

/** Bindings and params of a form: a, b, [a2, b2], [bias], [residual], c. */
export function header(form: Form): string {
  const [first, lowRank] = [elementOf('f32', form.vector), elementOf('f32', form.vector2)];
  const out = elementOf('f32', form.vectorOut);
  const storage = [
    `read> a: array<${first}>`,
    `read> b: array<${elementOf(form.packing, form.vector)}>`,
    ...(form.lowRank ? [`read> a2: array<${lowRank}>`, `read> b2: array<${lowRank}>`] : []),
    ...(form.bias ? ['read> bias: array<f32>'] : []),
    ...(form.residual ? [`read> residual: array<${out}>`] : []),
    `read_write> c: array<${out}>`,
  ];
  const params = ['k2: u32', 'a2_start: u32', 'lda2: u32', 'b2_start: u32', 'ldb2: u32'];
  return `${each(storage.length, (i) => `@group(0) @binding(${i}) var<storage, ${storage[i]};`)}
struct Params {
m: u32, n: u32, k: u32,
a_start: u32, lda: u32, b_start: u32, ldb: u32, c_start: u32, ldc: u32,
alpha: f32, accumulate: u32, first_group: u32,
${form.lowRank ? `${params.join(', ')}, alpha2: f32,` : ''}
}
@group(0) @binding(${storage.length}) var<uniform> params: Params;
${isBlockType(form.packing) ? 'fn word(i: u32) -> u32 { return b[i]; }' : ''}`;
}

export const phasesOf = ({ left, right, packing, vector, lowRank, vector2 }: Form): Phase[] => [
  { left, right, packing, suffix: '', vector },
  ...(lowRank
    ? [
        {
          left: 'row',
          right: lowRank,
          packing: 'f32',
          suffix: '2',
          vector: vector2,
        } as const,
      ]
    : []),
];

export const zeros = ({ rows, columns }: Block): string =>
  each(rows, (r) => each(columns / 4, (v) => `var c${r}_${v} = vec4<f32>();`));

/** Guarded stores of a thread's block at (m0, n0), by fours where the form allows it. */
export function store({ bias, residual, vectorOut }: Form, { rows, columns }: Block): string {
  const more = residual ? ' + residual[i]' : '';
  const four = (r: number, v: number) => {
    const plus = bias ? ` + ${vec4((q) => `bias[n0 + ${4 * v + q}u]`)}` : '';
    return `if (n0 + ${4 * v}u < params.n) {
let i = (row + n0) / 4u + ${v}u;
c[i] = select(vec4<f32>(), c[i], add) + c${r}_${v}${plus}${more};
}`;
  };
  const one = (r: number, j: number) => `if (n0 + ${j}u < params.n) {
let i = row + n0 + ${j}u;
c[i] = select(0.0, c[i], add) + ${component(`c${r}_${j >> 2}`, j & 3)}${bias ? ` + bias[n0 + ${j}u]` : ''}${more};
}`;
  return each(
    rows,
    (r) => `if (m0 + ${r}u < params.m) {
let row = params.c_start + (m0 + ${r}u) * params.ldc;
${vectorOut ? each(columns / 4, (v) => four(r, v)) : each(columns, (j) => one(r, j))}
}`,
  );
}

/** Threads of a workgroup: a quad that shares its rows, or threads that each load their own. */
export const threadsOf = (shared: boolean): number => (shared ? 4 : 16);

/** The kernel of a form; each thread covers a block, and neighbours lie side by side in N. */
export function unrolledText(form: Form, block: Block, shared: boolean): string {
  const { rows, columns } = block;
  const place = shared
    ? `let lane = lane_id;
let m0 = (params.first_group + group.x) * ${rows}u;
let n0 = group.y * ${4 * columns}u + lane * ${columns}u;`
    : `let m0 = (params.first_group + group.x) * ${rows}u;
let n0 = (group.y * ${threadsOf(shared)}u + local.x) * ${columns}u;
if (n0 >= params.n) { return; }`;
  const thread = shared
    ? '@builtin(subgroup_invocation_id) lane_id: u32'
    : '@builtin(local_invocation_id) local: vec3<u32>';
  const body = (p: Phase) => (p.vector ? vectorBody : scalarBody)(p, block, shared);
  return indented(`${shared ? 'enable subgroups;' : ''}
${header(form)}

@compute @workgroup_size(${threadsOf(shared)})
fn main(@builtin(workgroup_id) group: vec3<u32>, ${thread}) {
${place}
let add = params.accumulate != 0u;
${zeros(block)}
${phasesOf(form).map(body).join('\n')}
${store(form, block)}
}`);
}
