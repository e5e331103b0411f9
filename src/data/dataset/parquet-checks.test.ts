// Pages that lie about their lengths: the library would go on without end, or take all memory.
import { expect, test } from 'vitest';
import { checkDataPage, type PageLayout } from './parquet-checks.ts';

const check = (bytes: readonly number[], layout: Partial<PageLayout>) => () =>
  checkDataPage(new DataView(Uint8Array.from(bytes).buffer), {
    values: 2,
    encoding: 'PLAIN',
    type: 'BYTE_ARRAY',
    maxRepetition: 0,
    maxDefinition: 0,
    v2: null,
    ...layout,
  });
const v2 = { repetitionBytes: 0, definitionBytes: 0, nulls: 0 };

/** Two delta-encoded numbers below 32: a block of 128 in 4 parts, all of width 0. */
const numbers = (a: number, b: number) => [
  0x80,
  1,
  4,
  2,
  2 * a,
  b < a ? 2 * (a - b) - 1 : 2 * (b - a),
  0,
  0,
  0,
  0,
];
const shared = { encoding: 'DELTA_BYTE_ARRAY' };

test('texts that share their beginnings', () => {
  const text = [...'abc'].map((c) => c.charCodeAt(0));
  expect(check([...numbers(0, 2), ...numbers(2, 1), ...text], shared)).not.toThrow();
  for (const lengths of [numbers(0, 3), numbers(1, 0)])
    expect(check([...lengths, ...numbers(2, 1), ...text], shared)).toThrow('shares more');
  expect(check([0x80, 1, 0, 2, 0, 0], shared)).toThrow('blocks of an invalid size');
  const enough = [...numbers(0, 2), 0x80, 1, 3, 2, 4, 0, 0, 0, 0];
  expect(check(enough, shared)).toThrow('blocks of an invalid size');
});

test('runs of a dictionary: as long as the page, and no longer', () => {
  const indices = { encoding: 'RLE_DICTIONARY' };
  const endless = [0xfe, 0xff, 0xff, 0xff, 7];
  expect(check([1, 4, 1], indices)).not.toThrow();
  expect(check([1, ...endless, 1], indices)).toThrow('longer than its page');
  // One value takes no bits; version 2 has its runs all the same.
  expect(check([0], indices)).not.toThrow();
  expect(check([0, 4], { ...indices, v2 })).not.toThrow();
  expect(check([0, ...endless], { ...indices, v2 })).toThrow('longer than its page');
  expect(check([0, 0xff, 0xff, 0xff, 0xff, 7], { ...indices, v2 })).toThrow('longer than its page');
});

test('counts of values and nulls', () => {
  expect(check([], { values: 2 ** 30 })).toThrow('more than');
  for (const nulls of [-1, 3]) expect(check([], { v2: { ...v2, nulls } })).toThrow('more nulls');
  expect(check([2, 0, 0, 0, 4, 1], { maxDefinition: 1 })).not.toThrow();
  expect(check([9, 0, 0, 0, 4, 1], { maxDefinition: 1 })).toThrow('longer than their page');
});
