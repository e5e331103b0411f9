// Products with a table (V, C) that lies in shards of rows: the head and its input gradient.
import type { Recorder } from '../../graph/recorder.ts';
import type { Tensor } from '../../graph/tensor.ts';
import type { Operand } from './case.ts';
import { type Matrix, product } from './product.ts';

/** Rows of a shard, which produce the logits from `column` on. */
export interface Block {
  shard: Tensor;
  row: number;
  columns: number;
  column: number;
}

/** Rows of a table in all. */
export const rowsIn = (table: readonly Tensor[]): number =>
  table.reduce((sum, shard) => sum + shard.shape[0], 0);

/** The shards of a table in blocks of at most `most` rows. */
export function blocksOf(table: readonly Tensor[], most = Number.POSITIVE_INFINITY): Block[] {
  const blocks: Block[] = [];
  let column = 0;
  for (const shard of table)
    for (let row = 0; row < shard.shape[0]; row += most) {
      const columns = Math.min(most, shard.shape[0] - row);
      blocks.push({ shard, row, columns, column });
      column += columns;
    }
  return blocks;
}

function operand({ shard, row }: Block, order: Operand['order']): Operand {
  const [, width] = shard.shape;
  return { tensor: shard, start: row * width, stride: width, order };
}

/** A block's logits (M, columns) = x·blockᵀ. `x` is (M, C) inside a tensor. */
export function blockLogits(rec: Recorder, x: Matrix, m: number, block: Block, out: Matrix): void {
  const [n, k] = [block.columns, block.shard.shape[1]];
  const left = { ...x, order: 'row' } as const;
  product(rec, { m, n, k, left, right: operand(block, 'row'), out, label: 'head' });
}

/** Logits (M, V) = x·headᵀ. */
export function headLogits(
  rec: Recorder,
  x: Matrix,
  m: number,
  head: readonly Tensor[],
  logits: Tensor,
): void {
  const stride = rowsIn(head);
  for (const block of blocksOf(head))
    blockLogits(rec, x, m, block, { tensor: logits, start: block.column, stride });
}

/** A block's part of dx (M, C) = dlogits·head. */
export function blockInputGradient(
  rec: Recorder,
  logits: Matrix,
  m: number,
  block: Block,
  out: Matrix,
  accumulate: 0 | 1,
): void {
  const [n, k] = [block.shard.shape[1], block.columns];
  const left = { ...logits, order: 'row' } as const;
  const right = operand(block, 'col');
  product(rec, { m, n, k, left, right, out, accumulate, label: 'head dx' });
}
