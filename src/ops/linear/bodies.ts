// The inner loops of the register-blocked products, unrolled: one thread's loads and multiply-adds
// of one phase.
import { isBlockType } from '../../util/blocks.ts';
import { type Packing, UNPACK } from './packing.ts';

/** Rows and columns that one thread (or, in `subgroup`, one lane's columns) keeps in registers. */
export interface Block {
  rows: number;
  columns: number;
}

export const xyzw = 'xyzw';
export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
export const lines = (n: number, f: (i: number) => string): string => range(n).map(f).join('\n');

export interface Phase {
  left: 'row' | 'col';
  right: 'row' | 'col';
  packing: Packing;
  suffix: '' | '2';
  vector: boolean;
}

/** Index of element (outer, k): k-contiguous for `row`, outer-contiguous for `col`. */
export const at = (
  side: 'row' | 'col',
  start: string,
  ld: string,
  outer: string,
  k: string,
): string =>
  side === 'row' ? `${start} + (${outer}) * ${ld} + ${k}` : `${start} + (${k}) * ${ld} + ${outer}`;

/** As scalarBody, four k at a time with loads of four elements. */
export function vectorBody(phase: Phase, block: Block, shared: boolean): string {
  const { suffix: s, packing } = phase;
  const [A, B, la, lb] = [`a${s}`, `b${s}`, `params.lda${s}`, `params.ldb${s}`];
  const own = shared ? block.rows / 4 : block.rows;
  const row0 = shared ? `m0 + lane * ${own}u` : 'm0';
  const four = (name: string, index: string): string => {
    if (isBlockType(packing)) return `let ${name} = weights4(${index});`;
    if (packing === 'f32') return `let ${name} = ${B}[${index}];`;
    const pairs = ['x', 'y'].flatMap((c) => UNPACK[packing](`p${name}.${c}`));
    return `let p${name} = ${B}[${index}]; let ${name} = vec4<f32>(${pairs.join(', ')});`;
  };
  const groups = block.columns / 4;
  const bases =
    (phase.left === 'row'
      ? lines(
          own,
          (i) =>
            `let ra${i} = (params.a${s}_start + min(${row0} + ${i}u, params.m - 1u) * ${la}) / 4u;`,
        )
      : lines(
          own / 4,
          (g) =>
            `let ra${g} = (params.a${s}_start + min(${row0} + ${4 * g}u, params.m - 4u)) / 4u;`,
        )) +
    '\n' +
    (phase.right === 'row'
      ? lines(
          block.columns,
          (j) => `let rb${j} = (params.b${s}_start + min(n0 + ${j}u, params.n - 1u) * ${lb}) / 4u;`,
        )
      : lines(
          groups,
          (v) => `let rb${v} = (params.b${s}_start + min(n0 + ${4 * v}u, params.n - 4u)) / 4u;`,
        ));
  const loadA =
    phase.left === 'row'
      ? lines(own, (i) => `let x${i} = params.alpha${s} * ${A}[ra${i} + k];`)
      : lines(own / 4, (g) => {
          const loads = lines(
            4,
            (q) =>
              `let t${g}_${q} = params.alpha${s} * ${A}[ra${g} + (4u * k + ${q}u) * (${la} / 4u)];`,
          );
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
      ? lines(block.columns, (j) => four(`y${j}`, `rb${j} + k`))
      : lines(4, (q) =>
          lines(groups, (v) => four(`w${q}_${v}`, `rb${v} + (4u * k + ${q}u) * (${lb} / 4u)`)),
        );
  const transpose =
    phase.right === 'row'
      ? ''
      : lines(
          block.columns,
          (j) =>
            `let y${j} = vec4<f32>(${range(4)
              .map((q) => `w${q}_${j >> 2}.${xyzw[j & 3]}`)
              .join(', ')});`,
        );
  const sum = (v: number): string =>
    `vec4<f32>(${range(4)
      .map((q) => `dot(x, y${4 * v + q})`)
      .join(', ')})`;
  const multiply = lines(block.rows, (r) => {
    const x = shared ? `quadBroadcast(x${r % own}, ${Math.floor(r / own)}u)` : `x${r}`;
    return `{ let x = ${x};${range(groups)
      .map((v) => ` c${r}_${v} += ${sum(v)};`)
      .join('')} }`;
  });
  return `{\n${bases}\nfor (var k = 0u; k < params.k${s} / 4u; k++) {\n${loadA}\n${loadB}\n${transpose}\n${multiply}\n}\n}`;
}

/**
 * Loads of one thread for one phase: rows of the left at `row(i)`, columns of the right at n0 + j,
 * all clamped; then fma into c{i}_{v}. The right's columns come singly, in pairs of 16 bits, or
 * four at a time out of blocks.
 */
export function scalarBody(phase: Phase, block: Block, shared: boolean): string {
  const { suffix: s, packing } = phase;
  const blocks = isBlockType(packing);
  const pairs = packing === 'f16' || packing === 'bf16';
  const pairK = pairs && phase.right === 'row';
  const together = phase.right === 'row' ? 1 : blocks ? 4 : pairs ? 2 : 1;
  const inWord = blocks ? 4 : pairs ? 2 : 1;
  const word = (index: string): string => (inWord === 1 ? index : `(${index}) / ${inWord}u`);
  const ownRows = shared ? block.rows / 4 : block.rows;
  const [A, B, la, lb] = [`a${s}`, `b${s}`, `params.lda${s}`, `params.ldb${s}`];
  const rowBase = lines(ownRows, (i) => {
    const row = shared ? `m0 + lane * ${ownRows}u + ${i}u` : `m0 + ${i}u`;
    return `let ra${i} = ${at(phase.left, `params.a${s}_start`, la, `min(${row}, params.m - 1u)`, '0u')};`;
  });
  const colBase = lines(block.columns / together, (j) => {
    const col = `min(n0 + ${together * j}u, params.n - ${together}u)`;
    return `let rb${j} = ${word(at(phase.right, `params.b${s}_start`, lb, col, '0u'))};`;
  });
  const aStep = phase.left === 'row' ? 'k' : `k * ${la}`;
  const bStep = phase.right === 'row' ? word('k') : `k * ${word(lb)}`;
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
      const x = shared
        ? `quadBroadcast(x${name}${r % ownRows}, ${Math.floor(r / ownRows)}u)`
        : `x${name}${r}`;
      return `{ let x = ${x};${range(block.columns / 4)
        .map((v) => ` c${r}_${v} += x * w${name}${v};`)
        .join('')} }`;
    });
    return `${weights}\n${rows}`;
  };
  const loadB = lines(
    block.columns / together,
    (j) => `let y${j} = ${blocks ? `weights4(rb${j} + kb)` : `${B}[rb${j} + kb]`};`,
  );
  const half = (name: string, which: 0 | 1): string =>
    pairs ? UNPACK[packing](name)[which] : name;
  const columnOf = (j: number): string => {
    if (together === 4) return `y${j >> 2}.${xyzw[j & 3]}`;
    return together === 2 ? half(`y${j >> 1}`, (j & 1) as 0 | 1) : `y${j}`;
  };
  const body = pairK
    ? `${loadA('p', '')}\n${loadA('q', '1')}\n${multiply('p', (j) => half(`y${j}`, 0))}\n${multiply('q', (j) => half(`y${j}`, 1))}`
    : `${loadA('p', '')}\n${multiply('p', columnOf)}`;
  return `{\n${rowBase}\n${colBase}\nfor (var k = 0u; k < params.k${s}; k += ${pairK ? 2 : 1}u) {\nlet kb = ${bStep};\n${loadB}\n${body}\n}\n}`;
}
