// The rows of a run's stages: which are trained on, how often, and which are held out, packed where
// the settings say so; and their shapes.
import { bucketLength, searchPairs } from '../data/batching/batches.ts';
import { packRow, packRows } from '../data/batching/pack.ts';
import { epochOf, filesOf, levelsOf, splitRows, weighted } from '../data/batching/split.ts';
import type { RunConfig, SearchConfig, TrainingConfig } from '../settings/run-config.ts';
import { type BatchShape, lossTokens, type Row } from './batch.ts';

/** Gives the shape of micro-batches of so many rows, were the rows cut to `maxLength` tokens. */
export type ShapeFor = (perBatch: number, maxLength: number) => BatchShape;

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

/** Gives the shape that holds any `perBatch` of the rows. */
function shapes(rows: readonly Row[]): (perBatch: number) => BatchShape {
  const seqLen = bucketLength(rows);
  const counts = rows.map(lossTokens).sort((a, b) => b - a);
  return (perBatch) => ({
    rows: perBatch,
    seqLen,
    targets: Math.max(
      1,
      counts.slice(0, perBatch).reduce((a, b) => a + b, 0),
    ),
  });
}

/** The program shape that holds any micro-batch of these rows. */
export const shapeOf = (rows: readonly Row[], perBatch: number): BatchShape =>
  shapes(rows)(perBatch);

/**
 * Shapes of a training's micro-batches were its rows cut to other lengths; `later` are rows that
 * take the place of those before.
 */
export const trainingShapes = (
  rows: readonly Row[],
  config: TrainingConfig,
  later: readonly (readonly Row[])[] = [],
): ShapeFor =>
  shapesOf([rows, ...later], config, (cut, data) =>
    Object.values(runRows(cut, { ...config, data })).flat(),
  );

/** Shapes of a search's micro-batches were its rows cut to other lengths. */
export const searchShapes = (rows: readonly Row[], config: SearchConfig): ShapeFor =>
  shapesOf([rows], config, (cut, data) => levelRows(searchRows(cut, { ...config, data })));

function shapesOf(
  parts: readonly (readonly Row[])[],
  { data }: RunConfig,
  rowsOf: (cut: readonly Row[], data: RunConfig['data']) => Row[],
): ShapeFor {
  const known = new Map<number, (perBatch: number) => BatchShape>();
  const cut = (of: ArrayLike<number>, length: number) =>
    Array.prototype.slice.call(of, 0, length) as number[];
  return (perBatch, maxLength) => {
    let found = known.get(maxLength);
    if (!found) {
      const shorter = (row: Row): Row =>
        maxLength >= data.maxLength
          ? row
          : { ...row, ids: cut(row.ids, maxLength), labels: cut(row.labels, maxLength) };
      found = shapes(parts.flatMap((rows) => rowsOf(rows.map(shorter), { ...data, maxLength })));
      known.set(maxLength, found);
    }
    return found(perBatch);
  };
}
