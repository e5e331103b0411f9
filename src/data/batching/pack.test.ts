// Packing: every example once, no row too long, as full as first-fit decreasing makes them,
// segments by hand.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { packRow, packRows } from './pack.ts';

test('the longest first, each into the first row with room', () => {
  expect(packRows([3, 8, 5, 2, 7, 1], 10)).toEqual([
    [1, 3],
    [4, 0],
    [2, 5],
  ]);
  expect(packRows([4, 4, 4, 4], 8)).toEqual([
    [0, 1],
    [2, 3],
  ]);
  expect(packRows([20, 3], 8)).toEqual([[0], [1]]);
  expect(packRows([], 8)).toEqual([]);
});

test('equal to first-fit decreasing in plain loops; every example once; nearly as few rows as can be', () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 60 });
  fc.assert(
    fc.property(lengths, fc.integer({ min: 1, max: 40 }), (list, maxLength) => {
      const rows = packRows(list, maxLength);
      const cut = list.map((n) => Math.min(n, maxLength));
      const plain: number[][] = [];
      for (const e of [...cut.keys()].sort((a, b) => cut[b] - cut[a] || a - b)) {
        const row = plain.find((r) => r.reduce((sum, n) => sum + cut[n], 0) + cut[e] <= maxLength);
        if (row) row.push(e);
        else plain.push([e]);
      }
      expect(rows).toEqual(plain);
      expect(rows.flat().sort((a, b) => a - b)).toEqual([...list.keys()]);
      const least = Math.ceil(cut.reduce((sum, n) => sum + n, 0) / maxLength);
      expect(rows.length).toBeLessThanOrEqual(Math.max(1, 2 * least));
    }),
    { numRuns: 300, seed: 3 },
  );
});

test('a row: ids and labels end to end, positions from 0, where each segment begins, no loss on a first token', () => {
  const examples = [
    { ids: [1, 2, 3], labels: [1, -100, 3] },
    { ids: [4, 5], labels: [-100, 5] },
    { ids: [6, 7, 8, 9, 10], labels: [-100, -100, 8, 9, 10] },
  ];
  expect(packRow(examples, [2, 0, 1], 4)).toEqual({
    ids: Int32Array.of(6, 7, 8, 9, 1, 2, 3, 4, 5),
    labels: Int32Array.of(-100, -100, 8, 9, -100, -100, 3, -100, 5),
    positions: Int32Array.of(0, 1, 2, 3, 0, 1, 2, 0, 1),
  });
});
