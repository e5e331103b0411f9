// Statistics of a comparison against printed tables and worked examples.
import { describe, expect, test } from 'vitest';
import {
  agreement,
  meanDifference,
  spearman,
  spread,
  studentCentral,
  studentQuantile,
} from './statistics.ts';

describe("Student's t", () => {
  // Two-sided 95 % and 99 % points as printed in tables.
  test.each([
    [0.95, 1, 12.7062],
    [0.95, 2, 4.30265],
    [0.95, 3, 3.18245],
    [0.95, 5, 2.57058],
    [0.95, 10, 2.22814],
    [0.95, 30, 2.04227],
    [0.95, 120, 1.97993],
    [0.99, 1, 63.6567],
    [0.99, 4, 4.60409],
    [0.99, 9, 3.24984],
    [0.5, 7, 0.71114],
  ])('%d at %d degrees of freedom: %d', (probability, freedom, t) => {
    expect(studentQuantile(probability, freedom) / t).toBeCloseTo(1, 5);
    expect(studentCentral(t, freedom)).toBeCloseTo(probability, 5);
  });

  test('one degree of freedom is Cauchy, two have a closed form', () => {
    for (const t of [0, 0.1, 1, 7]) {
      expect(studentCentral(t, 1)).toBeCloseTo((2 / Math.PI) * Math.atan(t), 12);
      expect(studentCentral(t, 2)).toBeCloseTo(t / Math.sqrt(2 + t * t), 12);
    }
  });
});

test('spread: n − 1; one value has none', () => {
  expect(spread([2, 4, 4, 4, 5, 5, 7, 9])).toEqual({ n: 8, mean: 5, sd: Math.sqrt(32 / 7) });
  expect(spread([3])).toEqual({ n: 1, mean: 3, sd: null });
});

test('a mean difference and its interval', () => {
  const { n, mean, halfWidth } = meanDifference([0.1, 0.3, 0.2, 0.4]);
  expect([n, mean]).toEqual([4, 0.25]);
  expect(halfWidth).toBeCloseTo((3.18245 * 0.1290994) / 2, 5);
  expect(meanDifference([0.5]).halfWidth).toBeNull();
});

test('Spearman: order alone counts, ties share ranks, no order has no correlation', () => {
  expect(spearman([1, 2, 3, 4], [10, 100, 1000, 1001])).toBeCloseTo(1, 12);
  expect(spearman([1, 2, 3, 4], [4, 3, 2, 1])).toBeCloseTo(-1, 12);
  // Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: 4.5 / √(4.5·5).
  expect(spearman([1, 2, 2, 3], [1, 2, 3, 4])).toBeCloseTo(4.5 / Math.sqrt(22.5), 12);
  expect(
    spearman(
      [106, 100, 86, 101, 99, 103, 97, 113, 112, 110],
      [7, 27, 2, 50, 28, 29, 20, 12, 6, 17],
    ),
  ).toBeCloseTo(-29 / 165, 12);
  expect(spearman([1, 1, 1], [1, 2, 3])).toBeNull();
});

test('agreement is the mean over pairs that have a correlation', () => {
  expect(
    agreement([
      [1, 2, 3],
      [1, 2, 3],
      [3, 2, 1],
    ]),
  ).toBeCloseTo(-1 / 3, 12);
  expect(
    agreement([
      [1, 2, 3],
      [1, 2, 3],
      [5, 5, 5],
    ]),
  ).toBeCloseTo(1, 12);
  expect(agreement([[1, 2, 3]])).toBeNull();
});
