// What an attention reads and writes.
import type { Tensor } from '../../graph/tensor.ts';

/** Sizes of an attention. */
export interface Heads {
  heads: number; // H
  kvHeads: number; // G
  headDim: number; // D
}

/** One pass of an attention. */
export interface Attention {
  rows: number;
  seqLen: number;
  /** Keys a row: seqLen, or what a cache holds, which is laid out by position. */
  capacity: number;
  cached: boolean;
  /** Keys that a query sees at most, its own and those before it; 0 or left out: all. */
  window?: number;
  /** Longest document in keys; by default `capacity`. Only the flop count depends on it. */
  longest?: number;
  size: Heads;
  /** (rows·seqLen), u32: of each token in its document. A cache gets tokens in order. */
  positions: Tensor;
  q: Tensor; // (rows·seqLen, H·D)
  k: Tensor; // (rows·capacity, G·D)
  v: Tensor;
  o: Tensor; // (rows·seqLen, H·D)
  /** (rows·H·seqLen, 2): log-sum-exp, written by the forward pass, and room for the backward one. */
  softmax: Tensor;
  /** In the backward pass: the gradient of o, and those to write. Never with a cache. */
  gradients?: { d_o: Tensor; d_q: Tensor; d_k: Tensor; d_v: Tensor };
}

/** Pairs of a query and a key, over all heads: a causal row has half of them. */
export const pairsOf = ({ rows, seqLen, capacity, longest, size }: Attention): number =>
  rows * seqLen * size.heads * (Math.min(longest ?? capacity, capacity) / 2);

/** Whether each row is one causal document, so that work falls from the last query to the first. */
export const isFalling = ({ capacity, longest, window }: Attention): boolean =>
  !window && (longest ?? capacity) >= capacity;

/** A kernel's `window`: 2³² − 1 where a query sees all keys. */
export const windowOf = ({ window }: Attention): number => window || 2 ** 32 - 1;
