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
  time: number;
  /** Keys a row: the time, or what a cache holds, which is laid out by position. */
  capacity: number;
  cached: boolean;
  size: Heads;
  /** (rows·time), u32: of each token in its document. */
  positions: Tensor;
  q: Tensor; // (rows·time, H·D)
  k: Tensor; // (rows·capacity, G·D)
  v: Tensor;
  o: Tensor; // (rows·time, H·D)
  /** (rows·H·time, 2): log-sum-exp, written by the forward pass, and room for the backward one. */
  softmax: Tensor;
  /** In the backward pass: the gradient of o, and those to write. Never with a cache. */
  gradients?: { d_o: Tensor; d_q: Tensor; d_k: Tensor; d_v: Tensor };
}

/** Pairs of a query and a key, over all heads: a causal row has half of them. */
export const pairsOf = ({ rows, time, capacity, size }: Attention): number =>
  rows * time * size.heads * (capacity / 2);
