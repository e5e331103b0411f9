// How stored weights are read in WGSL (shaders/lib/packing).
import type { BlockType } from '../../util/blocks.ts';

/**
 * Element type of the right operand; 16-bit types are packed two to a u32, the others are GGUF's
 * blocks.
 */
export type Packing = 'f32' | 'f16' | 'bf16' | BlockType;

/** Both elements of a u32 of 16-bit weights. */
export const UNPACK: Record<'f16' | 'bf16', (word: string) => [string, string]> = {
  f16: (w) => [`unpack2x16float(${w}).x`, `unpack2x16float(${w}).y`],
  bf16: (w) => [`bitcast<f32>(${w} << 16u)`, `bitcast<f32>(${w} & 0xffff0000u)`],
};
