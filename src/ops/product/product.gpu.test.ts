// Products against float64: every variant, layout, packing and epilogue, at odd sizes.
import { expect, test } from 'vitest';
import { tensor } from '../../graph/tensor.ts';
import { matmul } from '../../reference/product.ts';
import { expectClose, runOp, testVariants, values } from '../../testing/gpu.ts';
import { bf16ArrayToF32, f16ArrayToF32, f32ArrayToBf16, f32ArrayToF16 } from '../../util/f16.ts';
import type { Packing } from './case.ts';
import { product, products } from './product.ts';

const pack = (
  data: Float32Array,
  packing: Packing,
): { data: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>; rounded: Float32Array } => {
  if (packing === 'f32') return { data: new Float32Array(data), rounded: data };
  const half = packing === 'f16' ? f32ArrayToF16(data) : f32ArrayToBf16(data);
  const padded = new Uint16Array(Math.ceil(half.length / 2) * 2);
  padded.set(half);
  return {
    data: new Uint32Array(padded.buffer),
    rounded: packing === 'f16' ? f16ArrayToF32(half) : bf16ArrayToF32(half),
  };
};

const cases: {
  left: 'row' | 'col';
  right: 'row' | 'col';
  packing: Packing;
  lowRank: 'row' | 'col' | null;
  bias: boolean;
  m: number;
  n: number;
  k: number;
  aligned?: boolean;
  /** What the variant \`tile\` has these sizes for; the others have no such classes. */
  class?: string;
}[] = [
  { left: 'row', right: 'row', packing: 'f32', lowRank: null, bias: false, m: 1, n: 1, k: 1 },
  { left: 'row', right: 'row', packing: 'f32', lowRank: 'col', bias: true, m: 37, n: 131, k: 29 },
  { left: 'row', right: 'row', packing: 'f16', lowRank: 'col', bias: true, m: 33, n: 70, k: 34 },
  { left: 'row', right: 'row', packing: 'bf16', lowRank: null, bias: false, m: 5, n: 66, k: 50 },
  { left: 'row', right: 'col', packing: 'f32', lowRank: 'col', bias: false, m: 66, n: 65, k: 17 },
  { left: 'row', right: 'col', packing: 'f16', lowRank: 'col', bias: false, m: 40, n: 70, k: 33 },
  { left: 'row', right: 'col', packing: 'bf16', lowRank: null, bias: false, m: 9, n: 34, k: 21 },
  { left: 'col', right: 'col', packing: 'f32', lowRank: null, bias: false, m: 19, n: 67, k: 41 },
  { left: 'row', right: 'row', packing: 'f32', lowRank: 'row', bias: false, m: 16, n: 64, k: 32 },
  // Sizes that allow loads of four elements.
  {
    left: 'row',
    right: 'row',
    packing: 'f32',
    lowRank: 'col',
    bias: true,
    m: 37,
    n: 132,
    k: 28,
    aligned: true,
  },
  {
    left: 'row',
    right: 'row',
    packing: 'f16',
    lowRank: 'col',
    bias: false,
    m: 9,
    n: 68,
    k: 36,
    aligned: true,
  },
  {
    left: 'row',
    right: 'row',
    packing: 'bf16',
    lowRank: 'row',
    bias: false,
    m: 35,
    n: 40,
    k: 16,
    aligned: true,
  },
  {
    left: 'row',
    right: 'col',
    packing: 'f32',
    lowRank: 'col',
    bias: false,
    m: 66,
    n: 72,
    k: 20,
    aligned: true,
  },
  {
    left: 'row',
    right: 'col',
    packing: 'f16',
    lowRank: 'col',
    bias: false,
    m: 5,
    n: 12,
    k: 24,
    aligned: true,
  },
  {
    left: 'row',
    right: 'col',
    packing: 'bf16',
    lowRank: null,
    bias: false,
    m: 33,
    n: 44,
    k: 8,
    aligned: true,
  },
  {
    left: 'col',
    right: 'col',
    packing: 'f32',
    lowRank: null,
    bias: false,
    m: 20,
    n: 68,
    k: 40,
    aligned: true,
  },
  {
    left: 'col',
    right: 'col',
    packing: 'f32',
    lowRank: null,
    bias: false,
    m: 4,
    n: 4,
    k: 4,
    aligned: true,
  },
  // Large enough for the largest register block.
  {
    left: 'row',
    right: 'row',
    packing: 'f32',
    lowRank: null,
    bias: false,
    m: 261,
    n: 260,
    k: 740,
    aligned: true,
  },
  // The tiles of large GPUs.
  {
    left: 'row',
    right: 'row',
    packing: 'f32',
    lowRank: null,
    bias: true,
    m: 2111,
    n: 1023,
    k: 9,
    class: '128 × 64, 8 × 8 a thread',
  },
  {
    left: 'row',
    right: 'row',
    packing: 'f16',
    lowRank: null,
    bias: false,
    m: 723,
    n: 706,
    k: 22,
    class: '64 × 64',
  },
  {
    left: 'row',
    right: 'row',
    packing: 'bf16',
    lowRank: null,
    bias: false,
    m: 1063,
    n: 27,
    k: 70,
    class: '16 × 16',
  },
  {
    left: 'row',
    right: 'col',
    packing: 'f32',
    lowRank: 'col',
    bias: false,
    m: 531,
    n: 13,
    k: 67,
    class: '8 × 8',
  },
  {
    left: 'col',
    right: 'col',
    packing: 'f32',
    lowRank: null,
    bias: false,
    m: 13,
    n: 67,
    k: 601,
    class: '4 × 8 in slices',
  },
  {
    left: 'col',
    right: 'col',
    packing: 'f32',
    lowRank: null,
    bias: false,
    m: 70,
    n: 66,
    k: 601,
    class: '32 × 32 in slices',
  },
  {
    left: 'row',
    right: 'col',
    packing: 'bf16',
    lowRank: null,
    bias: false,
    m: 19,
    n: 66,
    k: 8203,
    class: '32 × 32 in slices by N and K',
  },
];

const tiles = { ...products, variants: products.variants.slice(0, 1) };

for (const c of cases) {
  const name = `product ${c.left} ${c.right}${c.lowRank ? ` + ${c.lowRank}` : ''}${c.bias ? ' + bias' : ''} ${c.packing} ${c.m}×${c.n}×${c.k}${c.class ? `, tiles of ${c.class}` : ''}`;
  testVariants(c.class ? tiles : products, name, async (kernels) => {
    const [k2, start, pad] = c.aligned ? [12, 4, 4] : [7, 2, 2];
    const pad2 = c.aligned ? 4 : 1;
    const strideOf = (order: 'row' | 'col', outer: number, inner: number) =>
      (order === 'row' ? inner : outer) + pad;
    const rowsOf = (order: 'row' | 'col', outer: number, inner: number) =>
      order === 'row' ? outer : inner;
    const [lda, ldb, ldc] = [
      strideOf(c.left, c.m, c.k),
      strideOf(c.right, c.n, c.k),
      c.n + (c.aligned ? 4 : 3),
    ];
    const a = values(1, start + rowsOf(c.left, c.m, c.k) * lda);
    const { data: bData, rounded: b } = pack(
      values(2, start + rowsOf(c.right, c.n, c.k) * ldb),
      c.packing,
    );
    const a2 = values(3, c.m * (k2 + pad2));
    const ldb2 = strideOf(c.lowRank ?? 'row', c.n, k2);
    const b2 = values(4, rowsOf(c.lowRank ?? 'row', c.n, k2) * ldb2);
    const bias = values(5, c.n);
    const before = values(6, c.m * ldc);
    const residual = values(7, c.m * ldc);
    const [alpha, alpha2] = [0.75, -1.5];
    const pick =
      (d: ArrayLike<number>, order: 'row' | 'col', s: number, ld: number) =>
      (outer: number, k: number) =>
        order === 'row' ? d[s + outer * ld + k] : d[s + k * ld + outer];
    const first = matmul(
      c.m,
      c.n,
      c.k,
      (m, k) => alpha * pick(a, c.left, start, lda)(m, k),
      (k, n) => pick(b, c.right, start, ldb)(n, k),
    );
    const lowRank = matmul(
      c.m,
      c.n,
      k2,
      (m, k) => alpha2 * a2[m * (k2 + pad2) + k],
      (k, n) => pick(b2, c.lowRank ?? 'row', 0, ldb2)(n, k),
    );
    for (const accumulate of [0, 1] as const) {
      const isAdded = !accumulate && (c.bias || c.aligned);
      const want = Float64Array.from(before);
      for (let m = 0; m < c.m; m++) {
        for (let n = 0; n < c.n; n++) {
          const value =
            first[m * c.n + n] + (c.lowRank ? lowRank[m * c.n + n] : 0) + (c.bias ? bias[n] : 0);
          const more = isAdded ? residual[m * ldc + n] : accumulate ? before[m * ldc + n] : 0;
          want[m * ldc + n] = value + more;
        }
      }
      const out = await runOp({
        kernels,
        inputs: {
          a: { shape: [a.length], data: a },
          b: { shape: [b.length], data: bData, dtype: c.packing },
          a2: { shape: [a2.length], data: a2 },
          b2: { shape: [b2.length], data: b2 },
          bias: { shape: [c.n], data: bias },
          residual: { shape: [c.m * ldc], data: residual },
          c: { shape: [c.m * ldc], data: before },
        },
        record: (rec, t) => {
          product(rec, {
            m: c.m,
            n: c.n,
            k: c.k,
            left: { tensor: t.a, start, stride: lda, order: c.left },
            right: { tensor: t.b, start, stride: ldb, order: c.right },
            alpha,
            lowRank: c.lowRank
              ? {
                  k: k2,
                  left: { tensor: t.a2, stride: k2 + pad2 },
                  right: { tensor: t.b2, stride: ldb2, order: c.lowRank },
                  alpha: alpha2,
                }
              : undefined,
            bias: c.bias ? t.bias : undefined,
            residual: isAdded ? t.residual : undefined,
            out: { tensor: t.c, stride: ldc },
            accumulate,
          });
          return { c: t.c };
        },
      });
      // In half precision f32 weights and the low-rank pair are rounded; 16-bit weights are kept.
      const rounded = kernels.product === 'half' && (c.lowRank || c.packing === 'f32');
      const bound = rounded ? 5e-4 : c.k > 4096 ? 2e-6 : 1e-6;
      expectClose(out.c, want, bound, `accumulate ${accumulate}`);
    }
  });
}

/** Rows of a product of m of the rows of A. */
async function firstRows(m: number, n: number, k: number, right: 'row' | 'col') {
  const [a, b] = [values(1, m * k), values(2, n * k)];
  const out = await runOp({
    kernels: { product: 'tile' },
    inputs: {
      a: { shape: [m, k], data: a },
      b: { shape: right === 'row' ? [n, k] : [k, n], data: b },
    },
    record: (rec, t) => {
      const c = tensor('c', [m, n]);
      const stride = right === 'row' ? k : n;
      product(rec, {
        m,
        n,
        k,
        left: { tensor: t.a, stride: k, order: 'row' },
        right: { tensor: t.b, stride, order: right },
        out: { tensor: c, stride: n },
      });
      return { c };
    },
  });
  return out.c.subarray(0, n);
}

test.each([
  ['forward', 1023, 9, 'row', [3, 2111]],
  ['forward, longer', 70, 150, 'row', [1, 8, 9]],
  ['skinny', 13, 130, 'row', [1, 531, 1063]],
  ['a gradient in slices', 67, 8203, 'col', [3, 70]],
] as const)(
  '%s: no row of a product depends on the number of rows',
  async (_, n, k, right, all) => {
    const [first, ...others] = await Promise.all(all.map((m) => firstRows(m, n, k, right)));
    for (const rows of others) expect(rows).toEqual(first);
  },
);

test('a product that would read past its operand is refused while recording', async () => {
  const run = runOp({
    inputs: { a: { shape: [2, 3], data: values(1, 6) }, b: { shape: [2, 3], data: values(2, 6) } },
    record: (rec, t) => {
      const c = tensor('c', [2, 2]);
      product(rec, {
        m: 2,
        n: 2,
        k: 4,
        left: { tensor: t.a, stride: 3, order: 'row' },
        right: { tensor: t.b, stride: 3, order: 'row' },
        out: { tensor: c, stride: 2 },
      });
      return { c };
    },
  });
  await expect(run).rejects.toThrow('reads past');
});
