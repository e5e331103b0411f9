// Batch order, pairs of a search and length buckets.
import { describe, expect, test } from 'vitest';
import { BatchOrder, bucketLength, fewSizes, microBatches, searchPairs } from './batches.ts';
import { levelsOf } from './split.ts';

const list = (a: Iterable<number>) => [...a];

describe('BatchOrder', () => {
  test('in order, wrapping around, also where a batch is larger than the data', () => {
    const order = new BatchOrder(5, 3, false, 1);
    expect([0, 1, 2].map((s) => list(order.rows(s)))).toEqual([
      [0, 1, 2],
      [3, 4, 0],
      [1, 2, 3],
    ]);
    expect(list(new BatchOrder(2, 5, false, 1).rows(1))).toEqual([1, 0, 1, 0, 1]);
  });
  test('shuffled: each epoch a new order, no row twice in it, the same whatever is asked first', () => {
    const order = new BatchOrder(10, 3, true, 7);
    const epoch = (e: number) => [0, 1, 2].flatMap((s) => list(order.rows(3 * e + s)));
    const [first, second] = [epoch(0), epoch(1)];
    expect(new Set(first).size).toBe(9);
    expect(new Set(second).size).toBe(9);
    expect(first).not.toEqual(second);
    expect(list(new BatchOrder(10, 3, true, 7).rows(4))).toEqual(second.slice(3, 6));
    expect(epoch(0)).toEqual(first);
    expect(list(new BatchOrder(10, 3, true, 8).rows(0))).not.toEqual(first.slice(0, 3));
  });
  test('too few rows', () => {
    expect(() => new BatchOrder(7, 64, true, 1)).toThrow(
      'There are 7 training rows, fewer than train.batch 64',
    );
    expect(() => new BatchOrder(0, 4, false, 1)).toThrow('no rows');
  });
});

describe('searchPairs', () => {
  /** The first pairs of a search over `n` rows, by the numbers of the rows. */
  const pairs = (
    count: number,
    n: number,
    size: number,
    split: 'disjoint' | 'paired',
    shuffle: boolean,
    seed: number,
  ) => {
    const { lower, upper } = levelsOf(
      Int32Array.from({ length: n }, (_, i) => i),
      split,
      shuffle,
      seed,
    );
    const pair = searchPairs(
      { lower: lower.length, upper: upper.length },
      size,
      split,
      shuffle,
      seed,
    );
    return Array.from({ length: count }, (_, t) => [
      list(pair(t).b1.map((i) => lower[i])),
      list(pair(t).b2.map((i) => upper[i])),
    ]);
  };
  test('disjoint without shuffling: the first half, the larger one, and the rest, each in order and wrapping around', () => {
    expect(pairs(3, 7, 2, 'disjoint', false, 1)).toEqual([
      [
        [0, 1],
        [4, 5],
      ],
      [
        [2, 3],
        [6, 4],
      ],
      [
        [0, 1],
        [5, 6],
      ],
    ]);
  });
  test('disjoint and shuffled: no row is in both levels, all rows come, the seed decides', () => {
    const seen = pairs(40, 11, 2, 'disjoint', true, 5);
    const [lower, upper] = [0, 1].map((level) => new Set(seen.flatMap((p) => p[level])));
    expect([lower.size, upper.size]).toEqual([6, 5]);
    expect(new Set([...lower, ...upper]).size).toBe(11);
    expect(pairs(40, 11, 2, 'disjoint', true, 5)).toEqual(seen);
    expect(pairs(40, 11, 2, 'disjoint', true, 6)).not.toEqual(seen);
  });
  test('paired: neighbouring micro-batches of an epoch’s order; a last odd one serves as both', () => {
    expect(pairs(3, 6, 2, 'paired', false, 1)).toEqual([
      [
        [0, 1],
        [2, 3],
      ],
      [
        [4, 5],
        [4, 5],
      ],
      [
        [0, 1],
        [2, 3],
      ],
    ]);
    const epoch = pairs(2, 8, 2, 'paired', true, 3).flat(2);
    expect(new Set(epoch).size).toBe(8);
    expect(pairs(4, 8, 2, 'paired', true, 3).slice(2).flat(2)).not.toEqual(epoch);
  });
  test('too few rows for a micro-batch', () => {
    expect(() => pairs(1, 7, 4, 'disjoint', true, 1)).toThrow(
      'There are 3 upper level rows, fewer than search.microBatch 4',
    );
    expect(() => pairs(1, 1, 1, 'disjoint', false, 1)).toThrow('no rows');
  });
});

test('a length bucket holds the longest row, rounded up to 8', () => {
  const row = (n: number) => ({ ids: new Int32Array(n) });
  expect(bucketLength([row(1), row(17)])).toBe(24);
  expect(bucketLength([row(16)])).toBe(16);
});

describe('micro-batches of a step', () => {
  test('keep the order of rows, so many in each', () => {
    expect(microBatches([5, 3, 9, 1], 2, null)).toEqual([
      [5, 3],
      [9, 1],
    ]);
  });
  test('or take the longest rows first, each to the shortest so far', () => {
    const lengths = [9, 1, 5, 4, 3, 2];
    expect(microBatches([0, 1, 2, 3, 4, 5], 2, (row) => lengths[row])).toEqual([
      [0, 4],
      [2, 3, 5, 1],
    ]);
  });
});

test('a few sizes: those with the least padding, as few as are enough', () => {
  expect(fewSizes([])).toEqual([8]);
  expect(fewSizes([9, 10, 16])).toEqual([16]);
  expect(fewSizes([100, 100, 100, 800])).toEqual([104, 800]);
  const random = (i: number) => 100 + ((i * i * 7919) % 1000);
  const tokens = Array.from({ length: 200 }, (_, i) => random(i));
  const sizes = fewSizes(tokens);
  expect(sizes.length).toBeLessThanOrEqual(3);
  expect(sizes.at(-1)).toBe(8 * Math.ceil(Math.max(...tokens) / 8));
  const cost = (of: readonly number[]) =>
    tokens.reduce((sum, n) => sum + of.find((size) => size >= n)!, 0);
  // No size can be moved for the better.
  sizes.slice(0, -1).forEach((_, i) => {
    for (const by of [-80, -8, 8, 80])
      expect(cost(sizes.map((s, j) => (i === j ? s + by : s)))).toBeGreaterThanOrEqual(cost(sizes));
  });
  // Long micro-batches of many lengths have sizes further apart, none of which is too small.
  const long = Array.from({ length: 3000 }, (_, i) => 1 + ((i * 7919) % 100_000));
  expect(fewSizes(long).at(-1)).toBeGreaterThanOrEqual(Math.max(...long));
});
