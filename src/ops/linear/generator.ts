// Emits the WGSL of the register-blocked products: unrolled text, because a private array indexed by a loop variable is slow everywhere.
import { defineKernel, type Kernel } from '../../gpu/kernel.ts';

/** How a product is computed: 4-lane subgroups that broadcast, one thread alone, or tiles in workgroup memory. */
export type Variant = 'subgroup' | 'register' | 'tile';

/** Element type of the right operand; 16-bit types are packed two to a u32. */
export type Packing = 'f32' | 'f16' | 'bf16';

/**
 * What a product multiplies. Left: `row` is (M, K), `col` is (K, M). Right: `row` is (N, K), `col` is (K, N).
 * `second` adds α₂·A₂·B₂ with A₂ (M, K₂) and B₂ in f32, into the same registers; `bias` adds a vector (N).
 * `vector` and `vector2` say whether a phase's starts, strides and sizes allow loads of four elements.
 */
export interface Form {
  left: 'row' | 'col';
  right: 'row' | 'col';
  packing: Packing;
  second: 'row' | 'col' | null;
  bias: boolean;
  vector: boolean;
  vector2: boolean;
}

/** Rows and columns that one thread (or, in `subgroup`, one lane's columns) keeps in registers. */
export interface Block {
  rows: number;
  columns: number;
}

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const lines = (n: number, f: (i: number) => string): string => range(n).map(f).join('\n');

const UNPACK: Record<Packing, (word: string) => [string, string]> = {
  f32: (w) => [w, w],
  f16: (w) => [`unpack2x16float(${w}).x`, `unpack2x16float(${w}).y`],
  bf16: (w) => [`bitcast<f32>(${w} << 16u)`, `bitcast<f32>(${w} & 0xffff0000u)`],
};

const elementType = (packing: Packing, vector: boolean): string => {
  if (packing === 'f32') return vector ? 'vec4<f32>' : 'f32';
  return vector ? 'vec2<u32>' : 'u32';
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
    ['c', 'read_write', 'f32'],
  ];
  const params = form.second ? ' k2: u32, a2_start: u32, lda2: u32, b2_start: u32, ldb2: u32, alpha2: f32,' : '';
  return `${storage.map(([n, access, type], i) => `@group(0) @binding(${i}) var<storage, ${access}> ${n}: array<${type}>;`).join('\n')}
struct Params { m: u32, n: u32, k: u32, a_start: u32, lda: u32, b_start: u32, ldb: u32, c_start: u32, ldc: u32, alpha: f32, accumulate: u32,${params} }
@group(0) @binding(${storage.length}) var<uniform> params: Params;`;
}

interface Phase {
  left: 'row' | 'col';
  right: 'row' | 'col';
  packing: Packing;
  suffix: '' | '2';
  vector: boolean;
}

const phasesOf = (form: Form): Phase[] => {
  const first: Phase = { left: form.left, right: form.right, packing: form.packing, suffix: '', vector: form.vector };
  return form.second ? [first, { left: 'row', right: form.second, packing: 'f32', suffix: '2', vector: form.vector2 }] : [first];
};

/** Index of element (outer, k): k-contiguous for `row`, outer-contiguous for `col`. */
const at = (side: 'row' | 'col', start: string, ld: string, outer: string, k: string): string =>
  side === 'row' ? `${start} + (${outer}) * ${ld} + ${k}` : `${start} + (${k}) * ${ld} + ${outer}`;

const xyzw = 'xyzw';

/** As scalarBody, four k at a time with loads of four elements. */
function vectorBody(phase: Phase, block: Block, shared: boolean): string {
  const { suffix: s, packing } = phase;
  const [A, B, la, lb] = [`a${s}`, `b${s}`, `params.lda${s}`, `params.ldb${s}`];
  const own = shared ? block.rows / 4 : block.rows;
  const row0 = shared ? `m0 + lane * ${own}u` : 'm0';
  const unpack = (word: string): string => {
    if (packing === 'f32') return word;
    const [low, high] = [UNPACK[packing](`${word}.x`), UNPACK[packing](`${word}.y`)];
    return `vec4<f32>(${low.join(', ')}, ${high.join(', ')})`;
  };
  const groups = block.columns / 4;
  const bases =
    (phase.left === 'row'
      ? lines(own, (i) => `let ra${i} = (params.a${s}_start + min(${row0} + ${i}u, params.m - 1u) * ${la}) / 4u;`)
      : lines(own / 4, (g) => `let ra${g} = (params.a${s}_start + min(${row0} + ${4 * g}u, params.m - 4u)) / 4u;`)) +
    '\n' +
    (phase.right === 'row'
      ? lines(block.columns, (j) => `let rb${j} = (params.b${s}_start + min(n0 + ${j}u, params.n - 1u) * ${lb}) / 4u;`)
      : lines(groups, (v) => `let rb${v} = (params.b${s}_start + min(n0 + ${4 * v}u, params.n - 4u)) / 4u;`));
  const loadA =
    phase.left === 'row'
      ? lines(own, (i) => `let x${i} = params.alpha${s} * ${A}[ra${i} + k];`)
      : lines(own / 4, (g) => {
          const loads = lines(4, (q) => `let t${g}_${q} = params.alpha${s} * ${A}[ra${g} + (4u * k + ${q}u) * (${la} / 4u)];`);
          return `${loads}\n${lines(
            4,
            (c) =>
              `let x${4 * g + c} = vec4<f32>(${range(4)
                .map((q) => `t${g}_${q}.${xyzw[c]}`)
                .join(', ')});`,
          )}`;
        });
  const loadB =
    phase.right === 'row'
      ? lines(block.columns, (j) => `let p${j} = ${B}[rb${j} + k]; let y${j} = ${unpack(`p${j}`)};`)
      : lines(4, (q) =>
          lines(
            groups,
            (v) => `let p${q}_${v} = ${B}[rb${v} + (4u * k + ${q}u) * (${lb} / 4u)]; let w${q}_${v} = ${unpack(`p${q}_${v}`)};`,
          ),
        );
  const sum = (v: number): string =>
    phase.right === 'row'
      ? `vec4<f32>(${range(4)
          .map((q) => `dot(x, y${4 * v + q})`)
          .join(', ')})`
      : range(4)
          .map((q) => `x.${xyzw[q]} * w${q}_${v}`)
          .join(' + ');
  const multiply = lines(block.rows, (r) => {
    const x = shared ? `quadBroadcast(x${r % own}, ${Math.floor(r / own)}u)` : `x${r}`;
    return `{ let x = ${x};${range(groups)
      .map((v) => ` c${r}_${v} += ${sum(v)};`)
      .join('')} }`;
  });
  return `{\n${bases}\nfor (var k = 0u; k < params.k${s} / 4u; k++) {\n${loadA}\n${loadB}\n${multiply}\n}\n}`;
}

/** Loads of one thread for one phase: rows of the left at `row(i)`, columns of the right at n0 + j, all clamped; then fma into c{i}_{v}. */
function scalarBody(phase: Phase, block: Block, shared: boolean): string {
  const { suffix: s, packing } = phase;
  const packed = packing !== 'f32';
  const pairK = packed && phase.right === 'row';
  const pairN = packed && phase.right === 'col';
  const ownRows = shared ? block.rows / 4 : block.rows;
  const [A, B, la, lb] = [`a${s}`, `b${s}`, `params.lda${s}`, `params.ldb${s}`];
  const rowBase = lines(ownRows, (i) => {
    const row = shared ? `m0 + lane * ${ownRows}u + ${i}u` : `m0 + ${i}u`;
    return `let ra${i} = ${at(phase.left, `params.a${s}_start`, la, `min(${row}, params.m - 1u)`, '0u')};`;
  });
  const colBase = lines(pairN ? block.columns / 2 : block.columns, (j) => {
    const col = pairN ? `min(n0 + ${2 * j}u, params.n - 2u)` : `min(n0 + ${j}u, params.n - 1u)`;
    const index = at(phase.right, `params.b${s}_start`, lb, col, '0u');
    return `let rb${j} = ${packed ? `(${index}) / 2u` : index};`;
  });
  const aStep = phase.left === 'row' ? 'k' : `k * ${la}`;
  const bStep = phase.right === 'row' ? (packed ? 'k / 2u' : 'k') : packed ? `k * (${lb} / 2u)` : `k * ${lb}`;
  const loadA = (name: string, extra: string) =>
    `let ka${name} = ${extra ? (phase.left === 'row' ? 'k + 1u' : `(k + 1u) * ${la}`) : aStep};\n` +
    lines(ownRows, (i) => `let x${name}${i} = params.alpha${s} * ${A}[ra${i} + ka${name}];`);
  const multiply = (name: string, b: (j: number) => string) => {
    const weights = lines(
      block.columns / 4,
      (v) =>
        `let w${name}${v} = vec4<f32>(${range(4)
          .map((q) => b(4 * v + q))
          .join(', ')});`,
    );
    const rows = lines(block.rows, (r) => {
      const x = shared ? `quadBroadcast(x${name}${r % ownRows}, ${Math.floor(r / ownRows)}u)` : `x${name}${r}`;
      return `{ let x = ${x};${range(block.columns / 4)
        .map((v) => ` c${r}_${v} += x * w${name}${v};`)
        .join('')} }`;
    });
    return `${weights}\n${rows}`;
  };
  const loadB = lines(pairN ? block.columns / 2 : block.columns, (j) => `let y${j} = ${B}[rb${j} + kb];`);
  const unpack = UNPACK[packing];
  const body = pairK
    ? `${loadA('p', '')}\n${loadA('q', '1')}\n${multiply('p', (j) => unpack(`y${j}`)[0])}\n${multiply('q', (j) => unpack(`y${j}`)[1])}`
    : `${loadA('p', '')}\n${multiply('p', (j) => (pairN ? unpack(`y${j >> 1}`)[j & 1] : `y${j}`))}`;
  return `{\n${rowBase}\n${colBase}\nfor (var k = 0u; k < params.k${s}; k += ${pairK ? 2 : 1}u) {\nlet kb = ${bStep};\n${loadB}\n${body}\n}\n}`;
}

const declare = (block: Block): string => lines(block.rows, (r) => lines(block.columns / 4, (v) => `var c${r}_${v} = vec4<f32>();`));

/** Guarded stores of a thread's block at (m0, n0). */
function store(form: Form, block: Block): string {
  const bias = form.bias ? (n: string) => ` + bias[${n}]` : () => '';
  return lines(block.rows, (r) => {
    const one = (j: number) =>
      `if (n0 + ${j}u < params.n) { let i = row + n0 + ${j}u; let v = c${r}_${j >> 2}.${'xyzw'[j & 3]}${bias(`n0 + ${j}u`)}; if (add) { c[i] += v; } else { c[i] = v; } }`;
    return `if (m0 + ${r}u < params.m) { let row = params.c_start + (m0 + ${r}u) * params.ldc;\n${lines(block.columns, one)}\n}`;
  });
}

function registerText(form: Form, block: Block, shared: boolean): string {
  const threads = shared ? 4 : 16;
  const place = shared
    ? `let lane = lane_id; let m0 = group.y * ${block.rows}u; let n0 = group.x * ${4 * block.columns}u + lane * ${block.columns}u;`
    : `let m0 = group.y * ${block.rows}u; let n0 = (group.x * ${threads}u + local.x) * ${block.columns}u;\nif (n0 >= params.n) { return; }`;
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

/** Loads a DEPTH × TILE slice of one operand into workgroup memory as [k][outer], zero outside. */
function tileLoad(name: string, side: 'row' | 'col', packing: Packing, s: string, limit: string, origin: string, scale: string): string {
  const array = `${name}${s}`;
  const index = at(side, `params.${array}_start`, `params.ld${name}${s}`, 'outer', 'kk');
  const word =
    packing === 'f32'
      ? `${array}[i]`
      : `select(${UNPACK[packing](`${array}[i / 2u]`)[0]}, ${UNPACK[packing](`${array}[i / 2u]`)[1]}, (i & 1u) == 1u)`;
  const split = side === 'row' ? `let o = e / ${DEPTH}u; let d = e % ${DEPTH}u;` : `let o = e % ${TILE}u; let d = e / ${TILE}u;`;
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
let m_tile = group.y * ${TILE}u; let n_tile = group.x * ${TILE}u; let tx = thread % 16u; let ty = thread / 16u;
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

/** The kernel of a form in a variant. `block` is for `subgroup` (rows a multiple of 4) and `register`; columns a multiple of 4. */
export function productKernel(form: Form, variant: Variant, block: Block): ProductKernel {
  const second = form.second ? `+${form.second}${form.vector2 ? '4' : ''}` : '';
  const size = variant === 'tile' ? '' : `_${block.rows}x${block.columns}`;
  const name = `product_${form.left}_${form.right}${form.vector ? '4' : ''}${second}${form.bias ? '+bias' : ''}_${form.packing}_${variant}${size}`;
  let known = made.get(name);
  if (!known) {
    const text = variant === 'tile' ? tileText(form) : registerText(form, block, variant === 'subgroup');
    const threads = variant === 'subgroup' ? 4 : 16;
    const tile = variant === 'tile' ? { rows: TILE, columns: TILE } : { rows: block.rows, columns: threads * block.columns };
    known = { kernel: defineKernel(name, text), tile };
    made.set(name, known);
  }
  return known;
}
