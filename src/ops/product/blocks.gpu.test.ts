// Products with GGUF's block types against float64: forward and input gradient, every variant,
// sizes odd where a block allows it.
import { expect, test } from 'vitest';
import { matmul } from '../../reference/product.ts';
import { blockTypes, randomBlocks } from '../../testing/blocks.ts';
import { expectClose, runOp, testVariants, values } from '../../testing/gpu.ts';
import { blockFormats } from '../../util/blocks.ts';
import { product, products } from './product.ts';

for (const type of blockTypes) {
  const width = 3 * blockFormats[type].elements;
  // Forward: rows of the weight are the product's columns. Gradient: they are what is summed over,
  // by fours or not.
  const cases = [
    { right: 'row' as const, m: 19, rows: 37 },
    { right: 'col' as const, m: 18, rows: 35 },
    { right: 'col' as const, m: 5, rows: 24 },
  ];
  for (const { right, m, rows } of cases) {
    const title = `${type} ${right === 'row' ? 'forward' : 'input gradient'} ${m}×${rows}×${width}`;
    testVariants(products, title, async (kernels) => {
      const [n, k] = right === 'row' ? [rows, width] : [width, rows];
      const { words, values: w } = randomBlocks(type, 1, (rows + 1) * width);
      const a = values(2, m * k);
      const k2 = 4;
      const [a2, b2, bias] = [values(3, m * k2), values(4, n * k2), values(5, n)];
      const first = matmul(
        m,
        n,
        k,
        (i, q) => a[i * k + q],
        (q, j) => w[width + (right === 'row' ? j * width + q : q * width + j)],
      );
      const lowRank = matmul(
        m,
        n,
        k2,
        (i, q) => a2[i * k2 + q],
        (q, j) => b2[q * n + j],
      );
      const want = first.map((v, i) => v + lowRank[i] + bias[i % n]);
      const out = await runOp({
        kernels,
        inputs: {
          a: { shape: [m, k], data: a },
          w: { shape: [rows + 1, width], data: words, dtype: type },
          a2: { shape: [m, k2], data: a2 },
          b2: { shape: [k2, n], data: b2 },
          bias: { shape: [n], data: bias },
          c: { shape: [m, n], data: new Float32Array(m * n) },
        },
        record: (rec, t) => {
          product(rec, {
            m,
            n,
            k,
            left: { tensor: t.a, stride: k, order: 'row' },
            right: { tensor: t.w, start: width, stride: width, order: right },
            lowRank: {
              k: k2,
              left: { tensor: t.a2, stride: k2 },
              right: { tensor: t.b2, stride: n, order: 'col' },
            },
            bias: t.bias,
            out: { tensor: t.c, stride: n },
          });
          return { c: t.c };
        },
      });
      expectClose(out.c, want, kernels.product === 'half' ? 5e-4 : 1e-6);
    });
  }
}

test('a product over part of a block is refused while recording', async () => {
  const run = runOp({
    inputs: {
      a: { shape: [2, 16], data: values(1, 32) },
      w: { shape: [2, 32], data: randomBlocks('q4_0', 1, 64).words, dtype: 'q4_0' },
      c: { shape: [2, 2], data: new Float32Array(4) },
    },
    record: (rec, t) => {
      product(rec, {
        m: 2,
        n: 2,
        k: 16,
        left: { tensor: t.a, stride: 16, order: 'row' },
        right: { tensor: t.w, stride: 32, order: 'row' },
        out: { tensor: t.c, stride: 2 },
      });
      return { c: t.c };
    },
  });
  await expect(run).rejects.toThrow('part of a packed unit of 32');
});
