// The rows of a run: which are trained on and which are held out, packed where the settings say so; and the shapes of programs that hold them.
import { bucketLength, splitValidation } from '../data/batches.ts';
import { packRow, packRows } from '../data/pack.ts';
import { type BatchShape, lossTokens, type Row } from './batch.ts';
import type { RunConfig } from './config.ts';

/** Gives the shape of micro-batches of so many rows, were the rows cut to `maxLength` tokens. */
export type ShapeFor = (perBatch: number, maxLength: number) => BatchShape;

/** Splits rows (no longer than data.maxLength) by the settings; with data.packing the rows of each part are packed. */
export function runRows(rows: readonly Row[], { data, seed }: Pick<RunConfig, 'data' | 'seed'>): { train: Row[]; validation: Row[] } {
  const split = splitValidation(rows.length, data.validation, data.shuffle, seed);
  const take = (numbers: Int32Array): Row[] => {
    const taken = Array.from(numbers, (i) => rows[i]);
    if (!data.packing) return taken;
    const lengths = taken.map((r) => r.ids.length);
    return packRows(lengths, data.maxLength).map((row) => packRow(taken, row, data.maxLength));
  };
  return { train: take(split.train), validation: take(split.validation) };
}

/** Gives the shape that holds any `perBatch` of the rows. */
function shapes(rows: readonly Row[]): (perBatch: number) => BatchShape {
  const time = bucketLength(rows);
  const counts = rows.map(lossTokens).sort((a, b) => b - a);
  return (perBatch) => ({
    rows: perBatch,
    time,
    targets: Math.max(
      1,
      counts.slice(0, perBatch).reduce((a, b) => a + b, 0),
    ),
  });
}

/** The program shape that holds any micro-batch of these rows. */
export const shapeOf = (rows: readonly Row[], perBatch: number): BatchShape => shapes(rows)(perBatch);

/** Shapes of a run's micro-batches were its rows cut to other lengths. @param part of the rows, or all of them where it is left out */
export function shapesOf(rows: readonly Row[], config: Pick<RunConfig, 'data' | 'seed'>, part?: 'train' | 'validation'): ShapeFor {
  const known = new Map<number, (perBatch: number) => BatchShape>();
  return (perBatch, maxLength) => {
    let found = known.get(maxLength);
    if (!found) {
      const cut = rows.map(({ ids, labels }) => ({
        ids: Array.prototype.slice.call(ids, 0, maxLength) as number[],
        labels: Array.prototype.slice.call(labels, 0, maxLength) as number[],
      }));
      const { train, validation } = runRows(cut, { ...config, data: { ...config.data, maxLength } });
      found = shapes(part === 'train' ? train : part === 'validation' ? validation : [...train, ...validation]);
      known.set(maxLength, found);
    }
    return found(perBatch);
  };
}
