// Random weights in GGUF's block formats, for tests: every bit drawn, scales of a size that keeps
// sums near 1.
import { alignBlocks, type BlockType, blockFormats, dequantize } from '../util/blocks.ts';
import { f32ToF16 } from '../util/f16.ts';
import { Random } from '../util/random.ts';

export const blockTypes = Object.keys(blockFormats) as BlockType[];

/** Where the f16 scales of a block stand, and how large they are. */
const halves: Record<BlockType, { at: number[]; size: number }> = {
  q4_0: { at: [0], size: 1 / 8 },
  q4_1: { at: [0, 2], size: 1 / 16 },
  q5_0: { at: [0], size: 1 / 16 },
  q5_1: { at: [0, 2], size: 1 / 32 },
  q8_0: { at: [0], size: 1 / 128 },
  q4_k: { at: [0, 2], size: 1 / 1024 },
  q5_k: { at: [0, 2], size: 1 / 2048 },
  q6_k: { at: [208], size: 1 / 4096 },
};

/** `count` weights: their bytes in a file, their words on the GPU, and their values. */
export function randomBlocks(
  type: BlockType,
  seed: number,
  count: number,
): {
  bytes: Uint8Array<ArrayBuffer>;
  words: Uint32Array<ArrayBuffer>;
  values: Float64Array<ArrayBuffer>;
} {
  const random = new Random(seed, type);
  const { elements, bytes: size } = blockFormats[type];
  const bytes = Uint8Array.from({ length: (count / elements) * size }, () =>
    Math.floor(random.uniform() * 256),
  );
  for (let block = 0; block < bytes.length; block += size) {
    for (const at of halves[type].at) {
      const bits = f32ToF16(
        Math.fround(
          (0.5 + random.uniform()) * halves[type].size * (random.uniform() < 0.2 ? -1 : 1),
        ),
      );
      bytes[block + at] = bits & 255;
      bytes[block + at + 1] = bits >> 8;
    }
  }
  const aligned = alignBlocks(type, bytes);
  return { bytes, words: new Uint32Array(aligned.slice().buffer), values: dequantize(type, bytes) };
}
