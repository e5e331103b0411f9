// The block formats of GGUF: how weights lie in a file, how they lie on the GPU, and their values.
import { f16ToF32 } from './f16.ts';

/** Weights in blocks of 32 or 256 that share scales, as ggml stores them. */
export type BlockType = 'q4_0' | 'q4_1' | 'q5_0' | 'q5_1' | 'q8_0' | 'q4_k' | 'q5_k' | 'q6_k';

/**
 * `elements` weights take `bytes` in a file. On the GPU a block is whole u32: where its size is no
 * multiple of 4, two zero bytes stand after byte `gap`, so that the quants begin with a word.
 */
export interface BlockFormat {
  elements: number;
  bytes: number;
  gap: number | null;
}

export const blockFormats: Readonly<Record<BlockType, BlockFormat>> = {
  q4_0: { elements: 32, bytes: 18, gap: 2 }, // d, 16 × 2 quants
  q4_1: { elements: 32, bytes: 20, gap: null }, // d, m, 16 × 2 quants
  q5_0: { elements: 32, bytes: 22, gap: 2 }, // d, 32 high bits, 16 × 2 quants
  q5_1: { elements: 32, bytes: 24, gap: null }, // d, m, 32 high bits, 16 × 2 quants
  q8_0: { elements: 32, bytes: 34, gap: 2 }, // d, 32 signed quants
  // d, dmin, 12 bytes of 6-bit scales and minima, 128 × 2 quants
  q4_k: { elements: 256, bytes: 144, gap: null },
  // as q4_k, with 32 bytes of high bits before the quants
  q5_k: { elements: 256, bytes: 176, gap: null },
  // 128 × 2 low quants, 64 × 4 high bits, 16 signed scales, d
  q6_k: { elements: 256, bytes: 210, gap: 210 },
};

/** True for the name of a block format. */
export const isBlockType = (type: string): type is BlockType => Object.hasOwn(blockFormats, type);

/** u32 of one block on the GPU. */
export const blockWords = (type: BlockType): number => Math.ceil(blockFormats[type].bytes / 4);

/**
 * Whole blocks as a file holds them, laid out for the GPU. Returns `bytes` itself where nothing
 * changes.
 */
export function alignBlocks(
  type: BlockType,
  bytes: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  const { bytes: size, gap } = blockFormats[type];
  if (gap === null) return bytes;
  const blocks = bytes.length / size;
  const step = size + 2;
  const out = new Uint8Array(blocks * step);
  for (let b = 0, from = 0, to = 0; b < blocks; b++, from += size, to += step) {
    for (let i = 0; i < gap; i++) out[to + i] = bytes[from + i];
    for (let i = gap; i < size; i++) out[to + 2 + i] = bytes[from + i];
  }
  return out;
}

/** The scale (6 bits) and minimum (6 bits) of sub-block `s` of 8, from the 12 bytes at `at`. */
function scaleAndMinimum(bytes: Uint8Array, at: number, s: number): [number, number] {
  if (s < 4) return [bytes[at + s] & 63, bytes[at + 4 + s] & 63];
  const low = bytes[at + 4 + s];
  return [(low & 15) | ((bytes[at + s - 4] >> 6) << 4), (low >> 4) | ((bytes[at + s] >> 6) << 4)];
}

type Element = (bytes: Uint8Array, at: number, i: number) => number;

const half = (bytes: Uint8Array, at: number): number => f16ToF32(bytes[at] | (bytes[at + 1] << 8));
/** Four bits of element i of 32: the first 16 elements are low nibbles, the others high ones. */
const nibble = (bytes: Uint8Array, at: number, i: number): number =>
  (bytes[at + (i & 15)] >> (i < 16 ? 0 : 4)) & 15;
const fifthBit = (bytes: Uint8Array, at: number, i: number): number =>
  ((bytes[at + (i >> 3)] >> (i & 7)) & 1) << 4;
/** Four bits of element i of 256: each 32 bytes hold 32 low, then 32 high nibbles. */
const nibbleK = (bytes: Uint8Array, at: number, i: number): number =>
  (bytes[at + (i >> 6) * 32 + (i & 31)] >> ((i & 32) === 0 ? 0 : 4)) & 15;
const signed = (byte: number): number => (byte << 24) >> 24;

/** Element i of the block at byte `at`, as ggml's dequantize_row functions define it. */
const elementOf: Record<BlockType, Element> = {
  q4_0: (b, at, i) => half(b, at) * (nibble(b, at + 2, i) - 8),
  q4_1: (b, at, i) => half(b, at) * nibble(b, at + 4, i) + half(b, at + 2),
  q5_0: (b, at, i) => half(b, at) * ((nibble(b, at + 6, i) | fifthBit(b, at + 2, i)) - 16),
  q5_1: (b, at, i) =>
    half(b, at) * (nibble(b, at + 8, i) | fifthBit(b, at + 4, i)) + half(b, at + 2),
  q8_0: (b, at, i) => half(b, at) * signed(b[at + 2 + i]),
  q4_k: (b, at, i) => {
    const [scale, minimum] = scaleAndMinimum(b, at + 4, i >> 5);
    return half(b, at) * scale * nibbleK(b, at + 16, i) - half(b, at + 2) * minimum;
  },
  q5_k: (b, at, i) => {
    const [scale, minimum] = scaleAndMinimum(b, at + 4, i >> 5);
    const high = ((b[at + 16 + (i & 31)] >> (i >> 5)) & 1) << 4;
    return half(b, at) * scale * (nibbleK(b, at + 48, i) | high) - half(b, at + 2) * minimum;
  },
  q6_k: (b, at, i) => {
    // 128 elements, 32 of them, one of these
    const [part, quarter, l] = [i >> 7, (i >> 5) & 3, i & 31];
    const low = (b[at + part * 64 + (quarter & 1) * 32 + l] >> (quarter < 2 ? 0 : 4)) & 15;
    const high = (b[at + 128 + part * 32 + l] >> (2 * quarter)) & 3;
    const scale = signed(b[at + 192 + part * 8 + quarter * 2 + (l >> 4)]);
    return half(b, at + 208) * scale * ((low | (high << 4)) - 32);
  },
};

/** The values of whole blocks as a file holds them, in float64. */
export function dequantize(type: BlockType, bytes: Uint8Array): Float64Array<ArrayBuffer> {
  const { elements, bytes: size } = blockFormats[type];
  const element = elementOf[type];
  const out = new Float64Array((bytes.length / size) * elements);
  for (let i = 0; i < out.length; i++)
    out[i] = element(bytes, Math.floor(i / elements) * size, i % elements);
  return out;
}
