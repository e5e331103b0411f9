// Symbolic tensors: a name, a shape, a type and a kind; no data.
import { type BlockType, blockFormats, blockWords, isBlockType } from '../util/blocks.ts';

/**
 * What a tensor's elements are on the GPU. f16 and bf16 are packed two to a u32, GGUF's types in
 * blocks of whole u32.
 */
export type Dtype = 'f32' | 'u32' | 'f16' | 'bf16' | BlockType;

/**
 * Where a tensor lives: `weight` frozen and loaded, `param` and `grad` views of a ParamStore,
 * `activation` planned by liveness, `constant` a table known while recording, `state` bound by name
 * and shared between programs (inputs, caches, statistics).
 */
export type Kind = 'weight' | 'param' | 'grad' | 'activation' | 'constant' | 'state';

/** A symbolic tensor. */
export interface Tensor {
  readonly id: number;
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: Dtype;
  readonly kind: Kind;
  /** True when the loss's gradient with respect to it is wanted. */
  readonly requiresGrad: boolean;
  /**
   * First element within its store, for `param` and `grad`, or within the stored tensor of which a
   * `weight` is a shard.
   */
  readonly offset: number;
  /** What its memory counts as, if not as activations. */
  readonly category?: 'logits';
  /** Of a `param`: the view of its store that holds its gradient. */
  readonly gradient?: Tensor;
  /** The table's values, for `constant`; where a `state` starts, if not at zero. */
  readonly data?: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;
}

let nextId = 0;

/** Makes a symbolic tensor; activations by default. */
export function tensor(
  name: string,
  shape: readonly number[],
  options: Partial<Omit<Tensor, 'id' | 'name' | 'shape'>> = {},
): Tensor {
  return {
    id: nextId++,
    name,
    shape,
    dtype: 'f32',
    kind: 'activation',
    requiresGrad: false,
    offset: 0,
    ...options,
  };
}

/** Number of elements. */
export const sizeOf = (t: Tensor): number => t.shape.reduce((a, b) => a * b, 1);

/** Bytes on the GPU; packed 16-bit types are rounded up to whole u32. */
export function bytesOf(t: Tensor): number {
  if (isBlockType(t.dtype))
    return (sizeOf(t) / blockFormats[t.dtype].elements) * blockWords(t.dtype) * 4;
  return t.dtype === 'f16' || t.dtype === 'bf16' ? Math.ceil(sizeOf(t) / 2) * 4 : sizeOf(t) * 4;
}
