// Rotary positions, causal grouped attention with its gradients, and attention against a key–value
// cache.
import ropeCode from '../../../shaders/attention/rope.wgsl?raw';
import ropeCacheCode from '../../../shaders/attention/rope_cache.wgsl?raw';
import { defineKernel } from '../../gpu/kernel.ts';
import { blank, type Family, run, sample } from '../../graph/family.ts';
import type { Recorder } from '../../graph/recorder.ts';
import { type Tensor, tensor } from '../../graph/tensor.ts';
import { invariant } from '../../util/error.ts';
import { block } from './block.ts';
import type { Attention, Heads } from './case.ts';
import { thread } from './thread.ts';

const ropeKernel = defineKernel('rope', ropeCode);
const ropeCacheKernel = defineKernel('rope_cache', ropeCacheCode);

/**
 * Rows and tokens a row of a program, and the position of each token within its document
 * (`positions`, (rows·seqLen), u32). A document's tokens follow each other; where positions start
 * again at 0, another document starts, and neither sees the other.
 */
export interface BatchSpan {
  rows: number;
  seqLen: number;
  positions: Tensor;
  /** Tokens in the longest document; by default `seqLen`. */
  longest?: number;
}

/** Cosines and sines by position, each (positions, D/2), made on the host in f32. */
export interface RopeTables {
  cosines: Tensor;
  sines: Tensor;
}

/** Keys and values of every row at their positions, each (rows, capacity, G·D). */
export interface Cache {
  keys: Tensor;
  values: Tensor;
}

/**
 * Rotates q (rows·seqLen, H·D) and k (rows·seqLen, G·D) in place; the backward rotates their
 * gradients back in place (Su et al. 2021, eq. 34, halves convention).
 */
export function rope(
  rec: Recorder,
  q: Tensor,
  k: Tensor,
  tables: RopeTables,
  span: BatchSpan,
  size: Heads,
): void {
  const params = ropeParams(tables, span, size);
  const threads = params.tokens * (params.heads + params.kv_heads) * params.half_size;
  const launch = (of: { q: Tensor; k: Tensor }, direction: 1 | -1) =>
    rec.launch({
      kernel: ropeKernel,
      tensors: { ...tables, position: span.positions, ...of },
      params: { ...params, direction },
      threads,
      flops: 6 * threads,
    });
  launch({ q, k }, 1);
  rec.onBackward(() => {
    const [dq, dk] = [rec.gradOf(q), rec.gradOf(k)];
    if (dq && dk) launch({ q: dq, k: dk }, -1);
  });
}

/** Rotates q in place, and puts k, rotated, and v into a cache at their positions. */
export function ropeIntoCache(
  rec: Recorder,
  { q, k, v }: { q: Tensor; k: Tensor; v: Tensor },
  tables: RopeTables,
  span: BatchSpan,
  size: Heads,
  cache: Cache,
): void {
  const params = ropeParams(tables, span, size);
  const threads = params.tokens * (params.heads + params.kv_heads) * params.half_size;
  rec.launch({
    kernel: ropeCacheKernel,
    tensors: { ...tables, position: span.positions, q, k, v, ...cache },
    params: { ...params, seq_len: span.seqLen, capacity: cache.keys.shape[1] },
    threads,
    flops: 6 * threads,
  });
}

function ropeParams({ cosines }: RopeTables, span: BatchSpan, { heads, kvHeads }: Heads) {
  const [positions, half_size] = cosines.shape;
  return { tokens: span.rows * span.seqLen, heads, kv_heads: kvHeads, half_size, positions };
}

export const attentions: Family<Attention> = {
  name: 'attention',
  variants: [thread, block],
  bench: ({ heads, kvHeads, headDim }) => {
    const [rows, seqLen, size] = [1, 256, { heads, kvHeads, headDim }];
    const [wide, narrow] = [size.heads * size.headDim, size.kvHeads * size.headDim];
    const order = Uint32Array.from({ length: seqLen }, (_, t) => t);
    const positions = tensor('positions', [seqLen], { kind: 'state', dtype: 'u32', data: order });
    const [q, o, d_o] = ['q', 'o', 'd_o'].map((name) => sample(name, seqLen, wide));
    const [k, v] = ['k', 'v'].map((name) => sample(name, seqLen, narrow));
    const [d_k, d_v] = ['d_k', 'd_v'].map((name) => blank(name, seqLen, narrow));
    const d_q = blank('d_q', seqLen, wide);
    const softmax = sample('softmax', size.heads * seqLen, 2);
    const c = {
      rows,
      seqLen,
      capacity: seqLen,
      cached: false,
      size,
      positions,
      q,
      k,
      v,
      softmax,
    };
    const out = blank('out', seqLen, wide);
    const last = { kind: 'state', dtype: 'u32', data: Uint32Array.of(seqLen - 1) } as const;
    const token = { ...c, seqLen: 1, cached: true, positions: tensor('last', [1], last) };
    const answer = blank('answer', 1, wide);
    const gradients = { d_o, d_q, d_k, d_v };
    return [
      { name: 'forward', c: { ...c, o: out }, out: [out] },
      { name: 'backward', c: { ...c, o, gradients }, out: [d_q, d_k, d_v] },
      { name: 'answer', c: { ...token, o: answer }, out: [answer] },
    ];
  },
  key: ({ gradients }) => (gradients ? 'backward' : 'forward'),
};

/**
 * softmax(q kᵀ/√D + causal mask within each document) v with H/G query heads to a key–value head.
 * @param q (rows·seqLen, H·D) @param k (rows·seqLen, G·D) @param v (rows·seqLen, G·D)
 * @param cache when given, attention runs over all of it up to each query; inference only
 * @param window keys that a query sees at most, its own and those before it; 0: all
 * @returns (rows·seqLen, H·D)
 */
export function attention(
  rec: Recorder,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  span: BatchSpan,
  size: Heads,
  cache?: Cache,
  window = 0,
): Tensor {
  const { heads, headDim } = size;
  const { rows, seqLen, positions } = span;
  const tokens = rows * seqLen;
  const capacity = cache ? cache.keys.shape[1] : seqLen;
  const o = tensor(`attention ${q.name}`, [tokens, heads * headDim], {
    requiresGrad: q.requiresGrad || k.requiresGrad || v.requiresGrad,
  });
  const softmax = tensor(`softmax ${q.name}`, [rows * heads * seqLen, 2]);
  const cached = Boolean(cache);
  const { longest } = span;
  const pass = { rows, seqLen, capacity, cached, window, longest, size, positions, q, o, softmax };
  run(rec, attentions, { ...pass, k: cache?.keys ?? k, v: cache?.values ?? v });
  rec.onBackward(() => {
    invariant(!cache, 'attention against a cache has no backward');
    const d_o = rec.gradOf(o);
    if (!d_o) return;
    const [dq, dk, dv] = [q, k, v].map((t) => rec.gradTarget(t));
    invariant(
      !(dq.accumulate || dk.accumulate || dv.accumulate),
      'attention operands have one reader',
    );
    const gradients = {
      d_o,
      d_q: dq.grad,
      d_k: dk.grad,
      d_v: dv.grad,
    };
    run(rec, attentions, { ...pass, k, v, gradients });
  });
  return o;
}
