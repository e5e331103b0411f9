// Embedding lookup in a packed table, and picking rows of an activation.
import embedCode from '../../shaders/embed/embed.wgsl?raw';
import gatherCode from '../../shaders/embed/gather_rows.wgsl?raw';
import { defineKernel, type Kernel, kernelNamed } from '../gpu/kernel.ts';
import type { Recorder } from '../graph/recorder.ts';
import { sizeOf, type Tensor, tensor } from '../graph/tensor.ts';
import { invariant } from '../util/error.ts';
import type { Packing } from './product/case.ts';

const gatherKernel = defineKernel('gather_rows', gatherCode);

/** In an index of rows: no row. */
export const NO_ROW = 0xffffffff;

const embedKernel = (packing: Packing): Kernel =>
  kernelNamed(`embed (${packing})`, () =>
    defineKernel(`embed (${packing})`, embedCode, { uses: [`packing/${packing}`] }),
  );

/**
 * Rows `ids` (tokens), u32, of a frozen table (V, C) whose shards follow each other. Returns
 * (tokens, C).
 */
export function embed(rec: Recorder, ids: Tensor, table: readonly Tensor[]): Tensor {
  const width = table[0].shape[1];
  const vocab = table.reduce((sum, t) => sum + t.shape[0], 0);
  const tokens = sizeOf(ids);
  const y = tensor('embedding', [tokens, width]);
  let first = 0;
  for (const shard of table) {
    const rows = shard.shape[0];
    invariant(shard.dtype !== 'u32', `${shard.name} is no table`);
    rec.launch({
      kernel: embedKernel(shard.dtype),
      tensors: { ids, table: shard, y },
      params: { tokens, width, vocab, first, rows },
      threads: tokens * width,
    });
    first += rows;
  }
  return y;
}

/**
 * Rows `index` (count), u32, each at most once, of x (N, C); NO_ROW gives zeros. Returns (count,
 * C).
 */
export function gatherRows(rec: Recorder, x: Tensor, index: Tensor): Tensor {
  const width = x.shape[1];
  const count = sizeOf(index);
  const y = tensor(`rows of ${x.name}`, [count, width], { requiresGrad: x.requiresGrad });
  const threads = count * width;
  rec.launch({
    kernel: gatherKernel,
    tensors: { x, rows: index, y },
    params: { count, width, scatter: 0 },
    threads,
  });
  rec.onBackward(() => {
    const dy = rec.gradOf(y);
    if (!dy || !x.requiresGrad) return;
    const { grad, accumulate } = rec.gradTarget(x);
    invariant(!accumulate, 'gathered rows are the only reader');
    rec.clear(grad);
    rec.launch({
      kernel: gatherKernel,
      tensors: { x: dy, rows: index, y: grad },
      params: { count, width, scatter: 1 },
      threads,
    });
  });
  return y;
}
