// Rotary positions, causal grouped attention with its gradients, and attention against a key–value
// cache.
import cacheCode from '../../../shaders/attention/cache_write.wgsl?raw';
import ropeCode from '../../../shaders/attention/rope.wgsl?raw';
import { defineKernel } from '../../gpu/kernel.ts';
import type { Recorder } from '../../graph/recorder.ts';
import { type Tensor, tensor } from '../../graph/tensor.ts';
import { invariant } from '../../util/error.ts';
import { attentionKernels } from './generator.ts';

const ropeKernel = defineKernel('rope', ropeCode);
const cacheKernel = defineKernel('cache_write', cacheCode);

/**
 * Rows and tokens a row of a program, and the position of each token within its document
 * (`positions`, (rows·time), u32). A document's tokens follow each other; where positions start
 * again at 0, another document starts, and neither sees the other.
 */
export interface Span {
  rows: number;
  time: number;
  positions: Tensor;
}

/** Cosines and sines by position, each (positions, D/2), made on the host in f32. */
export interface RopeTables {
  cosines: Tensor;
  sines: Tensor;
}

/**
 * Rotates x (rows·time, heads·D) in place; the backward rotates its gradient back in place (Su et
 * al. 2021, eq. 34, halves convention).
 */
export function rope(
  rec: Recorder,
  x: Tensor,
  tables: RopeTables,
  span: Span,
  heads: number,
): void {
  const [positions, half_size] = tables.cosines.shape;
  const tokens = span.rows * span.time;
  const launch = (t: Tensor, direction: 1 | -1) =>
    rec.launch({
      kernel: ropeKernel,
      tensors: { ...tables, position: span.positions, x: t },
      params: { tokens, heads, half_size, positions, direction },
      workgroups: Math.ceil((tokens * heads * half_size) / 64),
      flops: 6 * tokens * heads * half_size,
    });
  launch(x, 1);
  rec.onBackward(() => {
    const grad = rec.gradOf(x);
    if (grad) launch(grad, -1);
  });
}

/** Sizes of an attention. */
export interface Heads {
  heads: number; // H
  kvHeads: number; // G
  headDim: number; // D
}

/**
 * softmax(q kᵀ/√D + causal mask within each document) v with H/G query heads to a key–value head.
 * @param q (rows·time, H·D) @param k (rows·time, G·D) @param v (rows·time, G·D)
 * @param cache when given, k and v are put into it at their positions and attention runs over all
 *   of it up to each query; inference only
 * @returns (rows·time, H·D)
 */
export function attention(
  rec: Recorder,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  span: Span,
  size: Heads,
  cache?: { keys: Tensor; values: Tensor },
): Tensor {
  const { heads, kvHeads, headDim } = size;
  const tokens = span.rows * span.time;
  const kernels = attentionKernels(headDim);
  const o = tensor(`attention ${q.name}`, [tokens, heads * headDim], {
    requiresGrad: q.requiresGrad || k.requiresGrad || v.requiresGrad,
  });
  const softmax = tensor(`softmax ${q.name}`, [span.rows * heads * span.time, 2]);
  const { positions } = span;
  const capacity = cache ? cache.keys.shape[1] : span.time;
  const params = {
    rows: span.rows,
    time: span.time,
    capacity,
    heads,
    kv_heads: kvHeads,
    cached: cache ? 1 : 0,
    scale: 1 / Math.sqrt(headDim),
  };
  for (const [x, into] of cache
    ? ([
        [k, cache.keys],
        [v, cache.values],
      ] as const)
    : []) {
    const width = kvHeads * headDim;
    rec.launch({
      kernel: cacheKernel,
      tensors: { x, positions, cache: into },
      params: { tokens, time: span.time, capacity, width },
      workgroups: Math.ceil((tokens * width) / 64),
    });
  }
  const queries = Math.ceil((tokens * heads) / 32);
  const pairs = tokens * heads * (capacity / 2);
  rec.launch({
    kernel: kernels.forward,
    tensors: { q, k: cache?.keys ?? k, v: cache?.values ?? v, positions, o, softmax },
    params,
    workgroups: queries,
    flops: 4 * pairs * headDim,
  });
  rec.onBackward(() => {
    invariant(!cache, 'attention against a cache has no backward');
    const d_o = rec.gradOf(o);
    if (!d_o) return;
    const [dq, dk, dv] = [q, k, v].map((t) => rec.gradTarget(t));
    invariant(
      !(dq.accumulate || dk.accumulate || dv.accumulate),
      'attention operands have one reader',
    );
    rec.launch({
      kernel: kernels.backwardQuery,
      tensors: { q, k, v, o, d_o, positions, softmax, d_q: dq.grad },
      params,
      workgroups: queries,
      flops: 6 * pairs * headDim,
    });
    rec.launch({
      kernel: kernels.backwardKey,
      tensors: { q, k, v, d_o, positions, softmax, d_k: dk.grad, d_v: dv.grad },
      params,
      workgroups: Math.ceil((tokens * kvHeads) / 32),
      flops: 8 * pairs * headDim,
    });
  });
  return o;
}
