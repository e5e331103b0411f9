// Products with a table (V, C) that lies in shards of rows: the head and its input gradient.
import type { Recorder } from '../../graph/recorder.ts';
import type { Tensor } from '../../graph/tensor.ts';
import { type Matrix, product } from './product.ts';

/** Logits (M, V) = x·headᵀ, each shard into its own columns. `x` is (M, C) inside a tensor. */
export function headLogits(
  rec: Recorder,
  x: Matrix,
  m: number,
  head: readonly Tensor[],
  logits: Tensor,
): void {
  const stride = head.reduce((sum, t) => sum + t.shape[0], 0);
  let start = 0;
  for (const shard of head) {
    const [n, k] = shard.shape;
    const right = { tensor: shard, stride: k, order: 'row' as const };
    product(rec, {
      m,
      n,
      k,
      left: { ...x, order: 'row' },
      right,
      out: { tensor: logits, start, stride },
      label: 'head',
    });
    start += n;
  }
}

/** dx (M, C) = dlogits (M, V)·head, summed over the shards in order. */
export function headInputGradient(
  rec: Recorder,
  logits: Tensor,
  m: number,
  head: readonly Tensor[],
  out: Matrix,
): void {
  const stride = head.reduce((sum, t) => sum + t.shape[0], 0);
  let start = 0;
  for (const shard of head) {
    const [k, n] = shard.shape;
    const left = { tensor: logits, start, stride, order: 'row' as const };
    const right = { tensor: shard, stride: n, order: 'col' as const };
    product(rec, { m, n, k, left, right, out, accumulate: start === 0 ? 0 : 1, label: 'head dx' });
    start += k;
  }
}
