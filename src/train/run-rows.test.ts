// The rows of a run's stages where files are weighed, held out and packed.
import { describe, expect, test } from 'vitest';
import { parseRunConfig, type RunConfigInput, searches, trains } from '../settings/run-config.ts';
import type { Row } from './batch.ts';
import {
  levelRows,
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

  test('programs hold any of these rows', () => {
    const made = config(data);
    const { train, validation } = runRows(rows, made);
    expect(trainingShapes(rows, made)(2, 16)).toEqual(shapeOf([...train, ...validation], 2));
    expect(searchShapes(rows, made)(2, 16)).toEqual(shapeOf(levelRows(searchRows(rows, made)), 2));
  });
});
