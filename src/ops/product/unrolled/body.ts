// The inner loop of one phase of an unrolled product: a thread's loads and multiply-adds.
import { component, each, range, vec4 } from '../../../gpu/wgsl.ts';
import { isBlockType } from '../../../util/blocks.ts';
import { type Packing, UNPACK } from '../packing.ts';

/** Rows and columns of C that one thread (with shared rows: its columns) keeps in registers. */
export interface Block {
  rows: number;
  columns: number;
}

/** One pair of operands, summed into the same registers. */
export interface Phase {
  left: 'row' | 'col';
  right: 'row' | 'col';
  packing: Packing;
  suffix: '' | '2';
  /** Whether starts, strides and sizes allow loads of four elements. */
  vector: boolean;
}

/** What the loads of a phase are written with. */
function namesOf({ suffix: s }: Phase, { rows }: Block, shared: boolean) {
  const own = shared ? rows / 4 : rows; // a lane loads its share of the rows and broadcasts them
  return {
    own,
    a: `a${s}`,
    b: `b${s}`,
    k: `params.k${s}`,
    aStart: `params.a${s}_start`,
    bStart: `params.b${s}_start`,
    aStride: `params.lda${s}`,
    bStride: `params.ldb${s}`,
    alpha: `params.alpha${s}`,
    row: (i: number) => `m0 + ${shared ? `lane * ${own}u + ` : ''}${i}u`,
    column: (j: number) => `n0 + ${j}u`,
    /** Row r of the block, as loaded under `x`. */
    x: (x: string, r: number) =>
      shared ? `quadBroadcast(${x}${r % own}, ${Math.floor(r / own)}u)` : `${x}${r}`,
  };
}

/** c{row}_{quad} += x · its columns, for the whole block. */
const multiplyAdds = (
  { rows, columns }: Block,
  x: (row: number) => string,
  product: (quad: number) => string,
): string =>
  each(rows, (r) => {
    const sums = range(columns / 4).map((v) => `c${r}_${v} += ${product(v)};`);
    return `{ let x = ${x(r)}; ${sums.join(' ')} }`;
  });

/**
 * Where four elements at a time begin: in each of `count` stored rows, or, stored by columns, in
 * each four of them.
 */
function quadBases(
  name: string,
  order: 'row' | 'col',
  [start, stride, limit]: readonly [string, string, string],
  count: number,
  outer: (i: number) => string,
): string {
  return order === 'row'
    ? each(
        count,
        (i) => `let ${name}${i} = (${start} + min(${outer(i)}, ${limit} - 1u) * ${stride}) / 4u;`,
      )
    : each(
        count / 4,
        (g) => `let ${name}${g} = (${start} + min(${outer(4 * g)}, ${limit} - 4u)) / 4u;`,
      );
}

/** As scalarBody, four k at a time with loads of four elements. */
export function vectorBody(phase: Phase, block: Block, shared: boolean): string {
  const n = namesOf(phase, block, shared);
  const { left, right, packing } = phase;
  const { columns } = block;
  const fourth = (stride: string, q: number) => `(4u * k + ${q}u) * (${stride} / 4u)`;
  const loadA = (name: string, at: string) => `let ${name} = ${n.alpha} * ${n.a}[${at}];`;
  const loadB = (name: string, at: string): string => {
    if (isBlockType(packing)) return `let ${name} = weights4(${at});`;
    if (packing === 'f32') return `let ${name} = ${n.b}[${at}];`;
    const halves = ['x', 'y'].flatMap((c) => UNPACK[packing](`p${name}.${c}`));
    return `let p${name} = ${n.b}[${at}]; let ${name} = ${vec4((i) => halves[i])};`;
  };
  const rowsByColumns = (g: number) => `
${each(4, (q) => loadA(`t${g}_${q}`, `ra${g} + ${fourth(n.aStride, q)}`))}
${each(4, (c) => `let x${4 * g + c} = ${vec4((q) => component(`t${g}_${q}`, c))};`)}`;
  const columnsByColumns = () => `
${each(4, (q) => each(columns / 4, (v) => loadB(`w${q}_${v}`, `rb${v} + ${fourth(n.bStride, q)}`)))}
${each(columns, (j) => `let y${j} = ${vec4((q) => component(`w${q}_${j >> 2}`, j & 3))};`)}`;
  return `{
${quadBases('ra', left, [n.aStart, n.aStride, 'params.m'], n.own, n.row)}
${quadBases('rb', right, [n.bStart, n.bStride, 'params.n'], columns, n.column)}
for (var k = 0u; k < ${n.k} / 4u; k++) {
${left === 'row' ? each(n.own, (i) => loadA(`x${i}`, `ra${i} + k`)) : each(n.own / 4, rowsByColumns)}
${right === 'row' ? each(columns, (j) => loadB(`y${j}`, `rb${j} + k`)) : columnsByColumns()}
${multiplyAdds(
  block,
  (r) => n.x('x', r),
  (v) => vec4((q) => `dot(x, y${4 * v + q})`),
)}
}
}`;
}

/**
 * Loads of one thread: rows of the left, and columns of the right singly, in pairs of 16 bits, or
 * four at a time out of blocks, all clamped; then multiply-adds into c{row}_{quad}.
 */
export function scalarBody(phase: Phase, block: Block, shared: boolean): string {
  const n = namesOf(phase, block, shared);
  const { left, right, packing } = phase;
  const blocks = isBlockType(packing);
  const halves = packing === 'f16' || packing === 'bf16' ? UNPACK[packing] : null;
  const inWord = blocks ? 4 : halves ? 2 : 1;
  const together = right === 'row' ? 1 : inWord; // columns of one load
  const kStep = halves && right === 'row' ? 2 : 1;
  const word = (index: string): string => (inWord === 1 ? index : `(${index}) / ${inWord}u`);
  const base = (order: 'row' | 'col', start: string, stride: string, outer: string): string =>
    order === 'row'
      ? `${start} + (${outer}) * ${stride} + 0u`
      : `${start} + (0u) * ${stride} + ${outer}`;
  const column = (j: number) => `min(${n.column(together * j)}, params.n - ${together}u)`;
  const loadB = (j: number) => (blocks ? `weights4(rb${j} + kb)` : `${n.b}[rb${j} + kb]`);
  /** Column j at the first (0) or second k of a step. */
  const y = (j: number, second: 0 | 1): string => {
    if (together === 4) return component(`y${j >> 2}`, j & 3);
    if (!halves) return `y${j}`;
    return together === 2 ? halves(`y${j >> 1}`)[j & 1] : halves(`y${j}`)[second];
  };
  const ks = kStep === 2 ? ([0, 1] as const) : ([0] as const);
  const loadA = (second: 0 | 1): string => {
    const name = 'pq'[second];
    const k = second === 0 ? 'k' : left === 'row' ? 'k + 1u' : '(k + 1u)';
    return `let ka${name} = ${left === 'row' ? k : `${k} * ${n.aStride}`};
${each(n.own, (i) => `let x${name}${i} = ${n.alpha} * ${n.a}[ra${i} + ka${name}];`)}`;
  };
  const multiply = (second: 0 | 1): string => {
    const name = 'pq'[second];
    return `${each(block.columns / 4, (v) => `let w${name}${v} = ${vec4((q) => y(4 * v + q, second))};`)}
${multiplyAdds(
  block,
  (r) => n.x(`x${name}`, r),
  (v) => `x * w${name}${v}`,
)}`;
  };
  return `{
${each(n.own, (i) => `let ra${i} = ${base(left, n.aStart, n.aStride, `min(${n.row(i)}, params.m - 1u)`)};`)}
${each(block.columns / together, (j) => `let rb${j} = ${word(base(right, n.bStart, n.bStride, column(j)))};`)}
for (var k = 0u; k < ${n.k}; k += ${kStep}u) {
let kb = ${right === 'row' ? word('k') : `k * ${word(n.bStride)}`};
${each(block.columns / together, (j) => `let y${j} = ${loadB(j)};`)}
${ks.map(loadA).join('\n')}
${ks.map(multiply).join('\n')}
}
}`;
}
