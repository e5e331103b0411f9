// The rows of a run's stages where files are weighed, held out and packed.
import { describe, expect, test } from 'vitest';
import { parseRunConfig, type RunConfigInput, searches, trains } from '../settings/run-config.ts';
import { joinedBatch, type Row, tokensIn } from './batch.ts';
import {
  levelRows,
  orderOf,
  pairsOf,
  partsOf,
  runRows,
  searchRows,
  searchShapes,
  shapeOf,
  trainingShapes,
} from './run-rows.ts';

/** Rows of 3 to 7 tokens, each with ids of its own: ten times its number and up. */
const rows = Array.from({ length: 24 }, (_, i): Row => {
  const ids = Array.from({ length: 3 + (i % 5) }, (_, t) => 10 * i + t);
  return { ids, labels: ids, file: i < 12 ? 'a' : i < 20 ? 'b' : 'held' };
});
const config = (data: RunConfigInput['data']) => {
  const made = parseRunConfig(
    {
      data: { maxLength: 16, ...data },
      search: { batch: 2, microBatch: 2 },
      train: { batch: 2, microBatch: 2 },
    },
    'x',
  );
  if (!searches(made) || !trains(made)) throw new Error('both');
  return made;
};
/** How often each row is among these, packed or not. */
function counted(some: readonly Row[]): number[] {
  const counts = new Array<number>(rows.length).fill(0);
  for (const { ids } of some)
    for (const id of Array.from(ids)) if (id % 10 === 0) counts[id / 10]++;
  return counts;
}
const times = (counts: [number, number, number]) =>
  rows.map(({ file }) => counts[['a', 'b', 'held'].indexOf(file!)]);

describe.each([false, true])('packing %s', (packing) => {
  const data = { packing, validation: ['held'], weights: { b: 2 } };

  test('rows are trained on as often as their file says, and never those held out', () => {
    const { train, validation } = runRows(rows, config(data));
    expect(counted(train)).toEqual(times([1, 2, 0]));
    expect(counted(validation)).toEqual(times([0, 0, 1]));
  });

  test('the levels of a search have no row in common, whatever comes twice', () => {
    const { lower, upper } = searchRows(rows, config(data));
    const [inLower, inUpper] = [counted(lower), counted(upper)];
    expect(inLower.map((n, i) => Math.min(n, inUpper[i]))).toEqual(times([0, 0, 0]));
    expect(inLower.map((n, i) => n + inUpper[i])).toEqual(times([1, 2, 0]));
  });

  test('evaluations hold any of these rows, and micro-batches those that occur', () => {
    const made = config(data);
    const { train, validation } = runRows(rows, made);
    const trained = trainingShapes(rows, made)(2, 16);
    expect(trained.padding).toBeGreaterThanOrEqual(0);
    expect(trained.evaluation).toEqual(shapeOf([...train, ...validation], 2));
    for (let step = 0; step < 30; step++)
      for (const part of partsOf(orderOf(train, made).rows(step), train, made, 1)) {
        const batch = part.map((n) => train[n]);
        expect(joinedBatch(batch, trained.micro).tokens).toBe(tokensIn(batch));
      }
    const levels = searchRows(rows, made);
    const searched = searchShapes(rows, made)(2, 16);
    expect(searched.evaluation).toEqual(shapeOf(levelRows(levels), 2));
    const pairOf = pairsOf(levels, made);
    for (let pair = 0; pair < 30; pair++) {
      const { b1, b2 } = pairOf(pair);
      joinedBatch(
        Array.from(b1, (n) => levels.lower[n]),
        searched.micro,
      );
      joinedBatch(
        Array.from(b2, (n) => levels.upper[n]),
        searched.micro,
      );
    }
  });
});

/** Tokens computed over tokens real, of the micro-batches of 20 steps. */
function padding(lengths: readonly number[], input: RunConfigInput): number {
  const made = parseRunConfig(
    { data: { maxLength: 256, validation: 0 }, train: { batch: 64, steps: 20 }, ...input },
    'x',
  );
  if (!trains(made)) throw new Error('trains');
  const some = lengths.map((length): Row => {
    const ids = new Int32Array(length).fill(1);
    return { ids, labels: ids };
  });
  const { micro, padding: share } = trainingShapes(some, made)(16, 256);
  let [computed, real] = [0, 0];
  for (let step = 0; step < 20; step++)
    for (const part of partsOf(orderOf(some, made).rows(step), some, made, 16)) {
      const { shape, tokens } = joinedBatch(
        part.map((n) => some[n]),
        micro,
      );
      computed += shape.seqLen;
      real += tokens;
    }
  expect(share).toBeCloseTo(1 - real / computed, 10);
  return computed / real;
}

test('of rows of many lengths little is computed for padding, and less where rows may change places', () => {
  const lengths = Array.from({ length: 900 }, (_, i) => 20 + ((i * i * 31) % 97));
  const mixture = padding(lengths, { adapter: { dropout: 0.1 } });
  expect(mixture).toBeGreaterThan(1);
  expect(mixture).toBeLessThan(1.08);
  const lora = padding(lengths, { adapter: { method: 'lora', dropout: 0 } });
  expect(lora).toBeLessThan(mixture);
  expect(padding(new Array(100).fill(40), {})).toBe(1);
});

test('of a million micro-batches the first decide, and the last shape holds any', () => {
  const some = Array.from({ length: 500 }, (_, i): Row => {
    const ids = new Int32Array(1 + ((i * 37) % 200)).fill(1);
    return { ids, labels: ids };
  });
  const made = parseRunConfig(
    { data: { maxLength: 256, validation: 0 }, train: { batch: 2, microBatch: 2, steps: 1e6 } },
    'x',
  );
  if (!trains(made)) throw new Error('trains');
  const started = performance.now();
  const { micro } = trainingShapes(some, made)(2, 256);
  expect(performance.now() - started).toBeLessThan(5000);
  const lengths = some.map((row) => row.ids.length).sort((a, b) => b - a);
  expect(micro.at(-1)?.seqLen).toBe(8 * Math.ceil((lengths[0] + lengths[1]) / 8));
  expect(micro.at(-1)?.targets).toBe(lengths[0] + lengths[1] - 2);
});

test('rows that do not fill a batch have a shape all the same, so that their memory can be shown', () => {
  const ids = new Int32Array(10).fill(1);
  const made = config({ shuffle: true });
  const { micro } = trainingShapes([{ ids, labels: ids }], made)(2, 16);
  expect(micro).toEqual([{ rows: 1, seqLen: 16, targets: 9, longest: 16 }]);
  expect(searchShapes([{ ids, labels: ids }], made)(2, 16).micro).toEqual(micro);
});
