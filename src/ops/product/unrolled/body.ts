// The inner loop of one phase of an unrolled product: a thread's loads and multiply-adds.
import { component, each, range, vec4 } from '../../../gpu/wgsl.ts';
import { isBlockType } from '../../../util/blocks.ts';
import type { Packing } from '../case.ts';

type Order = 'row' | 'col';

/** Rows and columns of C that one thread (with shared rows: its columns) keeps in registers. */
export interface Block {
  rows: number;
  columns: number;
}

/** One pair of operands, summed into the same registers. */
export interface Phase {
  left: Order;
  right: Order;
  packing: Packing;
  suffix: '' | '2';
  /** Whether starts, strides and sizes allow loads of four elements. */
  vector: boolean;
}

/** Both elements of a u32 of 16-bit weights. */
const HALVES: Record<'f16' | 'bf16', (word: string) => [string, string]> = {
  f16: (w) => [`unpack2x16float(${w}).x`, `unpack2x16float(${w}).y`],
  bf16: (w) => [`bitcast<f32>(${w} << 16u)`, `bitcast<f32>(${w} & 0xffff0000u)`],
};

/** A row of the block by number; a lane loads its share of the rows. */
const rowsOf = ({ rows }: Block, shared: boolean) => {
  const own = shared ? rows / 4 : rows;
  const first = shared ? `lane * ${own}u + ` : '';
  return { own, row: (i: number) => `m0 + ${first}${i}u` };
};

/** c{row}_{quad} += x · its columns, for the whole block; x is broadcast where rows are shared. */
function multiplyAdds(
  { rows, columns }: Block,
  shared: boolean,
  name: string,
  product: (quad: number) => string,
): string {
  const own = rows / 4;
  return each(rows, (r) => {
    const lane = Math.floor(r / own);
    const x = shared ? `quadBroadcast(${name}${r % own}, ${lane}u)` : `${name}${r}`;
    const sums = range(columns / 4).map((v) => `c${r}_${v} += ${product(v)};`);
    return `{ let x = ${x}; ${sums.join(' ')} }`;
  });
}

/** Four elements at a time: where they begin in stored rows, or in each four stored columns. */
function quadBases(
  operand: 'a' | 'b',
  order: Order,
  suffix: string,
  count: number,
  outer: (i: number) => string,
): string {
  const start = `params.${operand}${suffix}_start`;
  const stride = `params.ld${operand}${suffix}`;
  const limit = operand === 'a' ? 'params.m' : 'params.n';
  const base = (i: number, first: string) => `let r${operand}${i} = (${start} + ${first}) / 4u;`;
  if (order === 'row')
    return each(count, (i) => base(i, `min(${outer(i)}, ${limit} - 1u) * ${stride}`));
  return each(count / 4, (g) => base(g, `min(${outer(4 * g)}, ${limit} - 4u)`));
}

/** As scalarBody, four k at a time with loads of four elements. */
export function vectorBody(phase: Phase, block: Block, shared: boolean): string {
  const { left, right, packing, suffix: s } = phase;
  const { own, row } = rowsOf(block, shared);
  const { columns } = block;
  const loadA = (name: string, at: string) => `let ${name} = params.alpha${s} * a${s}[${at}];`;
  const loadB = (name: string, at: string): string => {
    if (isBlockType(packing)) return `let ${name} = weights4(${at});`;
    if (packing === 'f32') return `let ${name} = b${s}[${at}];`;
    const parts = [...HALVES[packing](`p${name}.x`), ...HALVES[packing](`p${name}.y`)];
    return `let p${name} = b${s}[${at}]; let ${name} = ${vec4((i) => parts[i])};`;
  };
  // Stored by columns, four loads are transposed.
  const fourth = (operand: 'a' | 'b', q: number) =>
    `(4u * k + ${q}u) * (params.ld${operand}${s} / 4u)`;
  const columnsOfA = (g: number) => {
    const loads = each(4, (q) => loadA(`t${g}_${q}`, `ra${g} + ${fourth('a', q)}`));
    const turned = (c: number) => vec4((q) => component(`t${g}_${q}`, c));
    return `${loads}\n${each(4, (c) => `let x${4 * g + c} = ${turned(c)};`)}`;
  };
  const columnsOfB = () => {
    const load = (q: number, v: number) => loadB(`w${q}_${v}`, `rb${v} + ${fourth('b', q)}`);
    const loads = each(4, (q) => each(columns / 4, (v) => load(q, v)));
    const turned = (j: number) => vec4((q) => component(`w${q}_${j >> 2}`, j & 3));
    return `${loads}\n${each(columns, (j) => `let y${j} = ${turned(j)};`)}`;
  };
  const rowsOfA = () => each(own, (i) => loadA(`x${i}`, `ra${i} + k`));
  const rowsOfB = () => each(columns, (j) => loadB(`y${j}`, `rb${j} + k`));
  const dots = (v: number) => vec4((q) => `dot(x, y${4 * v + q})`);
  return `{
${quadBases('a', left, s, own, row)}
${quadBases('b', right, s, columns, (j) => `n0 + ${j}u`)}
for (var k = 0u; k < params.k${s} / 4u; k++) {
${left === 'row' ? rowsOfA() : each(own / 4, columnsOfA)}
${right === 'row' ? rowsOfB() : columnsOfB()}
${multiplyAdds(block, shared, 'x', dots)}
}
}`;
}

/**
 * Loads of one thread: rows of the left, and columns of the right singly, in pairs of 16 bits, or
 * four at a time out of blocks, all clamped; then multiply-adds into c{row}_{quad}.
 */
export function scalarBody(phase: Phase, block: Block, shared: boolean): string {
  const { left, right, packing, suffix: s } = phase;
  const { own, row } = rowsOf(block, shared);
  const blocks = isBlockType(packing);
  const halves = packing === 'f16' || packing === 'bf16' ? HALVES[packing] : null;
  const inWord = blocks ? 4 : halves ? 2 : 1;
  const together = right === 'row' ? 1 : inWord; // columns of one load
  const loads = block.columns / together;
  const ks = halves && right === 'row' ? ([0, 1] as const) : ([0] as const); // of a step
  const word = (index: string): string => (inWord === 1 ? index : `(${index}) / ${inWord}u`);

  const base = (operand: 'a' | 'b', order: Order, outer: string): string => {
    const start = `params.${operand}${s}_start`;
    const stride = `params.ld${operand}${s}`;
    if (order === 'row') return `${start} + (${outer}) * ${stride} + 0u`;
    return `${start} + (0u) * ${stride} + ${outer}`;
  };
  const rowBase = (i: number) => {
    const at = base('a', left, `min(${row(i)}, params.m - 1u)`);
    return `let ra${i} = ${at};`;
  };
  const columnBase = (j: number) => {
    const at = base('b', right, `min(n0 + ${together * j}u, params.n - ${together}u)`);
    return `let rb${j} = ${word(at)};`;
  };

  const loadB = (j: number) => {
    const value = blocks ? `weights4(rb${j} + kb)` : `b${s}[rb${j} + kb]`;
    return `let y${j} = ${value};`;
  };
  const loadA = (which: 0 | 1): string => {
    const name = 'pq'[which];
    const k = which === 0 ? 'k' : 'k + 1u';
    const byColumns = which === 0 ? 'k' : '(k + 1u)';
    const offset = left === 'row' ? k : `${byColumns} * params.lda${s}`;
    const load = (i: number) => `let x${name}${i} = params.alpha${s} * a${s}[ra${i} + ka${name}];`;
    return `let ka${name} = ${offset};\n${each(own, load)}`;
  };

  /** Column j at one of a step's k. */
  const y = (j: number, which: 0 | 1): string => {
    if (together === 4) return component(`y${j >> 2}`, j & 3);
    if (!halves) return `y${j}`;
    return together === 2 ? halves(`y${j >> 1}`)[j & 1] : halves(`y${j}`)[which];
  };
  const multiply = (which: 0 | 1): string => {
    const name = 'pq'[which];
    const quad = (v: number) => `let w${name}${v} = ${vec4((q) => y(4 * v + q, which))};`;
    const sums = multiplyAdds(block, shared, `x${name}`, (v) => `x * w${name}${v}`);
    return `${each(block.columns / 4, quad)}\n${sums}`;
  };
  return `{
${each(own, rowBase)}
${each(loads, columnBase)}
for (var k = 0u; k < params.k${s}; k += ${ks.length}u) {
let kb = ${right === 'row' ? word('k') : `k * ${word(`params.ldb${s}`)}`};
${each(loads, loadB)}
${ks.map(loadA).join('\n')}
${ks.map(multiply).join('\n')}
}
}`;
}
