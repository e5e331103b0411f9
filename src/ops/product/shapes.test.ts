// Tiles and slices by shape: enough workgroups for an H100's 132 processors in a training step, and
// sums whose order depends on M in gradients of weights alone.
import { expect, test } from 'vitest';
import { imagined } from '../../gpu/variants.ts';
import { blank } from '../../graph/family.ts';
import { Recorder } from '../../graph/recorder.ts';
import type { Product } from './case.ts';
import { product } from './product.ts';
import { slicesOf, tileOf } from './shapes.ts';

type Order = 'row' | 'col';

function shaped(m: number, n: number, k: number, left: Order, right: Order): Product {
  const operand = (name: string, order: Order, outer: number) => {
    const shape = order === 'row' ? [outer, k] : [k, outer];
    return { tensor: blank(name, ...shape), stride: shape[1], order };
  };
  const [a, b] = [operand('a', left, m), operand('b', right, n)];
  return { m, n, k, left: a, right: b, out: { tensor: blank('c', m, n), stride: n } };
}

// SmolLM2-135M, LoRA of rank 8, one row of 1,024 tokens, 128 rows of logits at a time. In tiles of
// 64 × 64: 144, 384, 144, 16, 9, 9, 16, 18 workgroups.
/** The launches of a product. */
function tiled(sizes: Parameters<typeof shaped>) {
  const rec = new Recorder(imagined({ product: 'tile' }), false);
  product(rec, shaped(...sizes));
  return rec.commands.flatMap((c) => {
    if (c.type !== 'dispatch') return [];
    const [, size = 'sum'] = /_(\d+x[\dx]+)_tile/.exec(c.kernel.name) ?? [];
    return [{ size, workgroups: c.workgroups }];
  });
}

type Row = readonly [string, Parameters<typeof shaped>, string, [number, number, number]];
const step: Row[] = [
  ['q_proj', [1024, 576, 576, 'row', 'row'], '64x64', [16, 9, 1]],
  ['gate_proj', [1024, 1536, 576, 'row', 'row'], '64x64', [16, 24, 1]],
  ['down_proj', [1024, 576, 1536, 'row', 'row'], '64x64', [16, 9, 1]],
  ['k_proj', [1024, 192, 576, 'row', 'row'], '32x32', [32, 6, 1]],
  ['A of q, k and v', [1024, 24, 576, 'row', 'row'], '8x8x16', [128, 3, 1]],
  ['its gradient', [24, 576, 1024, 'col', 'col'], '8x8x16', [3, 72, 1]],
  ["q_proj's gradient of B", [8, 576, 1024, 'col', 'col'], '4x8x16', [2, 72, 1]],
  ["k_proj's gradient of B", [8, 192, 1024, 'col', 'col'], '4x8x16', [2, 24, 3]],
  ["q_proj's du", [1024, 8, 576, 'row', 'row'], '4x8x16', [256, 1, 1]],
  ["the head's logits", [128, 49152, 576, 'row', 'row'], '128x64', [1, 768, 1]],
  ["the head's input gradient", [128, 576, 49152, 'row', 'col'], '64x64', [2, 9, 12]],
];

test.each(step)(
  '%s: its tiles, and a workgroup for each processor',
  (_, sizes, size, workgroups) => {
    const [first, sum] = tiled(sizes);
    expect(first).toEqual({ size, workgroups });
    expect(workgroups.reduce((a, b) => a * b)).toBeGreaterThanOrEqual(132);
    expect(sum?.size).toBe(workgroups[2] > 1 ? 'sum' : undefined);
  },
);

// In tiles of 64 × 64: 9, 24, 768, 1.
test.each([
  ['q_proj', [1, 576, 576, 'row', 'row'], '8x8', [1, 72, 1]],
  ['gate_proj', [1, 1536, 576, 'row', 'row'], '8x8', [1, 192, 1]],
  ["the head's logits", [1, 49152, 576, 'row', 'row'], '8x8', [1, 6144, 1]],
  ['A of q, k and v', [8, 24, 576, 'row', 'row'], '4x8x16', [2, 3, 1]],
] as Row[])('%s in decoding: few columns a workgroup', (_, sizes, size, workgroups) => {
  expect(tiled(sizes)).toMatchObject([{ size, workgroups }]);
});

test('the order of sums depends on the rows of C in gradients of weights alone', () => {
  const orderOf = (p: Product) => {
    const { lanes, depth } = tileOf([p]);
    return [lanes, lanes > 1 && depth, slicesOf([p], tileOf([p]))].join();
  };
  for (const [n, k, right] of [
    [576, 576, 'row'],
    [24, 1536, 'row'],
    [8, 100_000, 'row'],
    [576, 49_152, 'col'],
    [64, 8192, 'col'],
  ] as const) {
    const orders = [1, 8, 9, 128, 1024, 20_000].map((m) => orderOf(shaped(m, n, k, 'row', right)));
    expect(new Set(orders).size).toBe(1);
  }
});

test('every tile fits 16 KiB of workgroup memory and 256 threads', () => {
  for (const m of [1, 20, 100, 3000, 20_000])
    for (const n of [8, 576, 3000]) {
      const { rows, columns, results, lanes, depth } = tileOf([shaped(m, n, 64, 'row', 'row')]);
      expect(16 * depth * (rows / 4 + columns / 4 + 2)).toBeLessThanOrEqual(16_384);
      const threads = (rows / results) * (columns / results) * lanes;
      expect(threads).toBeLessThanOrEqual(256);
      // Sums of lanes take the place of A.
      if (lanes > 1) expect(depth * (rows / 4 + 1)).toBeGreaterThanOrEqual(threads);
    }
});
