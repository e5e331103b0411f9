// Which rows are trained on and how often, and which are held out.
import { describe, expect, test } from 'vitest';
import { epochOf, levelsOf, splitRows, splitValidation, weighted } from './split.ts';

const list = (a: Iterable<number>) => [...a];
const range = (n: number) => Int32Array.from({ length: n }, (_, i) => i);

describe('splitValidation', () => {
  test('without shuffling the last rows; with it a seeded choice; together every row once', () => {
    expect(list(splitValidation(10, 0.2, false, 1).validation)).toEqual([8, 9]);
    const a = splitValidation(100, 0.2, true, 1);
    expect(a.validation.length).toBe(20);
    expect(list(a.validation)).not.toEqual(list(splitValidation(100, 0.2, true, 2).validation));
    expect(list(a.validation)).toEqual(list(splitValidation(100, 0.2, true, 1).validation));
    expect([...a.train, ...a.validation].sort((x, y) => x - y)).toEqual(
      Array.from({ length: 100 }, (_, i) => i),
    );
  });
  test('at least one where asked for, never all, none for 0 or a single row', () => {
    expect(splitValidation(3, 0.01, false, 1).validation.length).toBe(1);
    expect(splitValidation(2, 0.99, true, 1).train.length).toBe(1);
    expect(splitValidation(50, 0, true, 1).validation.length).toBe(0);
    expect(splitValidation(1, 0.5, true, 1).validation.length).toBe(0);
  });
});

const files = ['a.jsonl', 'a.jsonl', 'b.jsonl', 'b.jsonl', 'b.jsonl', 'c.zip/d.csv'];
const settings = { validation: 0, weights: {}, shuffle: true };
const split = (change: Partial<Parameters<typeof splitRows>[1]>) => {
  const { train, validation } = epochOf(files, { ...settings, ...change }, 1);
  return { train: list(train), validation: list(validation) };
};

describe('files for validation', () => {
  test('all their rows are held out, and no others', () => {
    expect(split({ validation: ['b.jsonl'] })).toEqual({ train: [0, 1, 5], validation: [2, 3, 4] });
    expect(split({ validation: ['a.jsonl', 'c.zip/d.csv'] })).toEqual({
      train: [2, 3, 4],
      validation: [0, 1, 5],
    });
  });
  test('are named as they were given, too: packed, or as an archive', () => {
    expect(split({ validation: ['a.jsonl.gz'] }).validation).toEqual([0, 1]);
    expect(split({ validation: ['c.zip'] }).validation).toEqual([5]);
  });
  test('that no row comes from are an error with the names that there are', () => {
    expect(() => split({ validation: ['b.json'] })).toThrow(
      'data.validation names b.json, but no usable row is from it: usable rows are in a.jsonl, b.jsonl, c.zip/d.csv.',
    );
    expect(() => split({ weights: { e: 2 } })).toThrow('data.weights names e, but');
    expect(() => splitRows(['', ''], { ...settings, validation: ['e'] }, 1)).toThrow(
      'the data has no named files',
    );
  });
});

describe('weights', () => {
  test('rows come as often as their file’s weight says; validation rows once', () => {
    expect(split({ weights: { 'b.jsonl': 2 } }).train).toEqual([0, 1, 2, 3, 4, 2, 3, 4, 5]);
    expect(split({ weights: { 'b.jsonl': 3 }, validation: ['b.jsonl'] })).toEqual({
      train: [0, 1, 5],
      validation: [2, 3, 4],
    });
    expect(split({ weights: { 'a.jsonl': 1, 'b.jsonl': 1 } }).train).toEqual([0, 1, 2, 3, 4, 5]);
  });
  test('a fraction is a seeded choice of rows, of any file at least one', () => {
    const many = new Array<string>(100).fill('m');
    const of = (weight: number, seed: number) =>
      list(weighted(range(100), many, { m: weight }, seed));
    expect(new Set(of(0.3, 1)).size).toBe(30);
    expect(of(0.3, 1)).toEqual(of(0.3, 1));
    expect(of(0.3, 1)).not.toEqual(of(0.3, 2));
    const counts = new Map<number, number>();
    for (const i of of(1.25, 1)) counts.set(i, (counts.get(i) ?? 0) + 1);
    expect([counts.size, [...counts.values()].filter((n) => n === 2).length]).toEqual([100, 25]);
    expect(of(0.001, 1)).toHaveLength(1);
  });
  test('a large file’s copies do not overflow anything', () => {
    expect(
      weighted(range(200_000), new Array<string>(200_000).fill('m'), { m: 3 }, 1),
    ).toHaveLength(600_000);
  });
});

test('the levels of a search: halves where they are disjoint, all rows where they are paired', () => {
  const { lower, upper } = levelsOf(range(7), 'disjoint', true, 3);
  expect([lower.length, upper.length]).toEqual([4, 3]);
  expect(list([...lower, ...upper]).sort()).toEqual(list(range(7)));
  expect(levelsOf(range(7), 'disjoint', false, 3)).toEqual({
    lower: range(7).slice(0, 4),
    upper: range(7).slice(4),
  });
  expect(levelsOf(range(7), 'paired', true, 3)).toEqual({ lower: range(7), upper: range(7) });
});
