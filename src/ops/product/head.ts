// Products with a table (V, C) that lies in shards of rows: the head and its input gradient.
import type { Recorder } from '../../graph/recorder.ts';
import type { Tensor } from '../../graph/tensor.ts';
import { type Matrix, product } from './product.ts';

/** The shards of a table as right operands, with the columns of logits (M, V) that are theirs. */
function shardsOf(head: readonly Tensor[], logits: Tensor, order: 'row' | 'col') {
  const stride = head.reduce((sum, t) => sum + t.shape[0], 0);
  let start = 0;
  return head.map((tensor) => {
    const [vocab, width] = tensor.shape;
    const columns = { tensor: logits, start, stride };
    start += vocab;
    return { vocab, width, columns, right: { tensor, stride: width, order } };
  });
}

/** Logits (M, V) = x·headᵀ, each shard into its own columns. `x` is (M, C) inside a tensor. */
export function headLogits(
  rec: Recorder,
  x: Matrix,
  m: number,
  head: readonly Tensor[],
  logits: Tensor,
): void {
  const left = { ...x, order: 'row' } as const;
  for (const { vocab: n, width: k, columns: out, right } of shardsOf(head, logits, 'row'))
    product(rec, { m, n, k, left, right, out, label: 'head' });
}

/** dx (M, C) = dlogits (M, V)·head, summed over the shards in order. */
export function headInputGradient(
  rec: Recorder,
  logits: Tensor,
  m: number,
  head: readonly Tensor[],
  out: Matrix,
): void {
  for (const { vocab: k, width: n, columns, right } of shardsOf(head, logits, 'col')) {
    const left = { ...columns, order: 'row' } as const;
    const accumulate = columns.start === 0 ? 0 : 1;
    product(rec, { m, n, k, left, right, out, accumulate, label: 'head dx' });
  }
}
