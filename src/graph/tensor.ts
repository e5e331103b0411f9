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
  /** The tensor whose buffer it shares, if it has none of its own. */
  readonly within?: Tensor;
  /**
   * First element in `within`, or, of a shard of a `weight`, in the tensor as it is stored.
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

/** The tensor that owns the buffer: `within`, or the tensor itself. */
export const wholeOf = (t: Tensor): Tensor => t.within ?? t;

/** Floats to which the start of a binding is aligned: 256 bytes, the strictest of devices. */
export const ALIGN = 64;

/** Rounds a size in floats up to `ALIGN`. */
export const aligned = (floats: number): number => Math.ceil(floats / ALIGN) * ALIGN;

/** Activations side by side in one buffer, so that one launch can write them all. */
export function sideBySide(
  parts: readonly { name: string; shape: readonly number[]; requiresGrad: boolean }[],
): Tensor[] {
  const extent = [0];
  const within = tensor(parts.map((p) => p.name).join(' '), extent);
  return parts.map(({ name, shape, requiresGrad }) => {
    const t = tensor(name, shape, { requiresGrad, within, offset: extent[0] });
    extent[0] += aligned(sizeOf(t));
    return t;
  });
}

/** Number of elements. */
export const sizeOf = (t: Tensor): number => t.shape.reduce((a, b) => a * b, 1);

/** Bytes on the GPU; packed 16-bit types are rounded up to whole u32. */
export function bytesOf(t: Tensor): number {
  if (isBlockType(t.dtype))
    return (sizeOf(t) / blockFormats[t.dtype].elements) * blockWords(t.dtype) * 4;
  return t.dtype === 'f16' || t.dtype === 'bf16' ? Math.ceil(sizeOf(t) / 2) * 4 : sizeOf(t) * 4;
}

/** Where it begins in the buffer of `wholeOf`, in bytes. */
export const startOf = (t: Tensor): number => (t.within ? bytesOf({ ...t, shape: [t.offset] }) : 0);
