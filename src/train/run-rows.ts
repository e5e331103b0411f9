// The rows of a run's stages: which are trained on, how often, and which are held out, packed where
// the settings say so; and their shapes.
import { methodOf } from '../adapters/methods/methods.ts';
import {
  BatchOrder,
  bucketLength,
  fewSizes,
  microBatches,
  searchPairs,
} from '../data/batching/batches.ts';
import { packRow, packRows } from '../data/batching/pack.ts';
import { epochOf, filesOf, levelsOf, splitRows, weighted } from '../data/batching/split.ts';
import type { RunConfig, SearchConfig, TrainingConfig } from '../settings/run-config.ts';
import { type BatchShape, type BatchShapes, lossTokens, type Row, tokensIn } from './batch.ts';
import { totalSteps } from './schedule.ts';

/** Returns the shapes for micro-batches of `perBatch` rows truncated to `maxLength` tokens. */
export type ShapesFor = (perBatch: number, maxLength: number) => BatchShapes;

type Settings = Pick<RunConfig, 'data' | 'seed'>;

/** The rows of these numbers; with data.packing they are packed. */
function take(rows: readonly Row[], numbers: Int32Array, { data }: Settings): Row[] {
  const taken = Array.from(numbers, (i) => rows[i]);
  if (!data.packing) return taken;
  const lengths = taken.map((r) => r.ids.length);
  return packRows(lengths, data.maxLength).map((row) => packRow(taken, row, data.maxLength));
}

/**
 * The rows of a training (no longer than data.maxLength): those of an epoch, and those held out.
 */
export function runRows(
  rows: readonly Row[],
  config: Settings,
): { train: Row[]; validation: Row[] } {
  const { train, validation } = epochOf(filesOf(rows), config.data, config.seed);
  return { train: take(rows, train, config), validation: take(rows, validation, config) };
}

/**
 * The rows of a search's two levels, of those that are trained on; no row is in both where they are
 * disjoint.
 */
export function searchRows(
  rows: readonly Row[],
  config: SearchConfig,
): Record<'lower' | 'upper', Row[]> {
  const { data, seed, search } = config;
  const files = filesOf(rows);
  const levels = levelsOf(splitRows(files, data, seed).train, search.split, data.shuffle, seed);
  const of = (level: Int32Array<ArrayBuffer>) =>
    take(rows, weighted(level, files, data.weights, seed), config);
  const lower = of(levels.lower);
  return { lower, upper: search.split === 'paired' ? lower : of(levels.upper) };
}

/** The rows of a search, each once. */
export const levelRows = ({ lower, upper }: ReturnType<typeof searchRows>): Row[] =>
  lower === upper ? lower : [...lower, ...upper];

/**
 * The pairs of a search over the rows of its levels.
 * @throws InputError where they do not fill a micro-batch
 */
export const pairsOf = (
  { lower, upper }: ReturnType<typeof searchRows>,
  { data, seed, search }: SearchConfig,
) =>
  searchPairs(
    { lower: lower.length, upper: upper.length },
    search.microBatch,
    search.split,
    data.shuffle,
    seed,
  );

/** The shape that holds any `perBatch` of these rows, each in its own program row. */
export function shapeOf(rows: readonly Row[], perBatch: number): BatchShape {
  const counts = rows.map(lossTokens).sort((a, b) => b - a);
  const targets = counts.slice(0, perBatch).reduce((a, b) => a + b, 0);
  return { rows: perBatch, seqLen: bucketLength(rows), targets: Math.max(1, targets) };
}

/** Rows that a training uses from a step on, replacing the earlier ones. */
export interface Lesson {
  from: number;
  rows: readonly Row[];
}

/** Splits a training step's rows into micro-batches of row numbers. */
export function partsOf(
  numbers: Iterable<number>,
  rows: readonly Row[],
  { train, adapter }: TrainingConfig,
  perBatch: number,
): number[][] {
  // Rows may not move if a balance loss averages over micro-batches or dropout keys on their place.
  const free = !methodOf(adapter.method).routed && adapter.dropout === 0;
  const lengthOf = free ? (n: number) => rows[n].ids.length : null;
  return microBatches([...numbers], train.batch / perBatch, lengthOf);
}

/** The order of a training's rows. */
export const orderOf = (rows: readonly Row[], { train, data, seed }: TrainingConfig): BatchOrder =>
  new BatchOrder(rows.length, train.batch, data.shuffle, seed);

/**
 * Shapes of a training's micro-batches and validation, for rows truncated to any length; `later`
 * rows replace the earlier ones.
 */
export function trainingShapes(
  rows: readonly Row[],
  config: TrainingConfig,
  later: readonly Lesson[] = [],
): ShapesFor {
  return shapesOf(config, (cut, data) => {
    const changed = { ...config, data };
    const split = [{ from: 0, rows }, ...later].map(({ from, rows }) => ({
      from,
      ...runRows(cut(rows), changed),
    }));
    const steps = totalSteps(config.train, data.shuffle, split[0].train.length);
    return {
      apart: split.flatMap(({ train, validation }) => [...train, ...validation]),
      *batches(perBatch) {
        for (const [i, { from, train }] of split.entries()) {
          if (!fills(train, config.train.batch, data)) continue;
          const order = orderOf(train, changed);
          const end = Math.min(steps, split[i + 1]?.from ?? steps);
          for (let step = from; step < end; step++)
            for (const part of partsOf(order.rows(step - from), train, changed, perBatch))
              yield part.map((n) => train[n]);
        }
      },
    };
  });
}

/** Shapes of a search's micro-batches, for rows truncated to any length. */
export const searchShapes = (rows: readonly Row[], config: SearchConfig): ShapesFor =>
  shapesOf(config, (cut, data) => {
    const levels = searchRows(cut(rows), { ...config, data });
    const { lowerOnlySteps, steps, batch } = config.search;
    return {
      apart: levelRows(levels),
      *batches(perBatch) {
        if (!Object.values(levels).every((rows) => fills(rows, perBatch, data))) return;
        const search = { ...config.search, microBatch: perBatch };
        const pairOf = pairsOf(levels, { ...config, data, search });
        const updates = Math.ceil(((lowerOnlySteps + steps) * perBatch) / batch);
        const pairs = (updates * batch) / perBatch; // the last one's are counted whole
        for (let i = 0; i < pairs; i++) {
          const { b1, b2 } = pairOf(i);
          yield Array.from(b1, (n) => levels.lower[n]);
          yield Array.from(b2, (n) => levels.upper[n]);
        }
      },
    };
  });

/** Whether there are enough rows for one batch; a run refuses to start with fewer. */
const fills = (rows: readonly Row[], batch: number, { shuffle }: RunConfig['data']): boolean =>
  rows.length >= (shuffle ? batch : 1);

/** The rows of a stage, and its micro-batches of so many rows; none where rows are too few. */
interface Batches {
  apart: readonly Row[];
  batches(perBatch: number): Iterable<readonly Row[]>;
}

/** How many micro-batches are inspected to choose shapes. */
const ENOUGH = 20_000;

function shapesOf(
  { data }: RunConfig,
  batchesOf: (cut: (rows: readonly Row[]) => readonly Row[], data: RunConfig['data']) => Batches,
): ShapesFor {
  const known = new Map<string, BatchShapes>();
  const cut = (of: ArrayLike<number>, length: number) =>
    Array.prototype.slice.call(of, 0, length) as number[];
  return (perBatch, maxLength) => {
    const key = `${perBatch} ${maxLength}`;
    let found = known.get(key);
    if (!found) {
      const shorter = (row: Row): Row =>
        maxLength >= data.maxLength
          ? row
          : { ...row, ids: cut(row.ids, maxLength), labels: cut(row.labels, maxLength) };
      const { apart, batches } = batchesOf((rows) => rows.map(shorter), { ...data, maxLength });
      found = shapesFor(apart, batches(perBatch), perBatch);
      known.set(key, found);
    }
    return found;
  };
}

/**
 * Chooses shapes for these micro-batches, and for evaluations of `perBatch` rows. With more than
 * `ENOUGH` micro-batches, or none, the largest shape holds any possible micro-batch.
 */
export function shapesFor(
  apart: readonly Row[],
  batches: Iterable<readonly Row[]>,
  perBatch: number,
): BatchShapes {
  const evaluation = shapeOf(apart, perBatch);
  const sizes: { tokens: number; targets: number }[] = [];
  for (const rows of batches) {
    sizes.push({ tokens: tokensIn(rows), targets: sum(rows.map(lossTokens)) });
    if (sizes.length === ENOUGH) break;
  }
  if (sizes.length % ENOUGH === 0) {
    const lengths = apart.map((row) => row.ids.length).sort((a, b) => b - a);
    sizes.push({ tokens: sum(lengths.slice(0, perBatch)), targets: evaluation.targets });
  }
  let least = 0;
  const micro = fewSizes(sizes.map((s) => s.tokens)).map((seqLen): BatchShape => {
    const own = sizes.filter(({ tokens }) => tokens > least && tokens <= seqLen);
    least = seqLen;
    const targets = own.reduce((most, s) => Math.max(most, s.targets), 1);
    return { rows: 1, seqLen, targets, longest: Math.min(seqLen, evaluation.seqLen) };
  });
  const computed = sizes.map(({ tokens }) => micro.find((s) => s.seqLen >= tokens)?.seqLen ?? 0);
  const padding = 1 - sum(sizes.map((s) => s.tokens)) / Math.max(1, sum(computed));
  return { micro, evaluation, padding };
}

const sum = (of: readonly number[]): number => of.reduce((a, b) => a + b, 0);
