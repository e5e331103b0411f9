// How stored weights are read in WGSL: four consecutive ones of a packed array<u32>, for every type
// that a matrix can have.
import { type BlockType, blockFormats, blockWords, isBlockType } from '../../util/blocks.ts';

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

const HELPERS = `fn bytes4(w: u32) -> vec4<u32> { return vec4<u32>(w, w >> 8u, w >> 16u, w >> 24u) & vec4<u32>(255u); }
fn nibbles4(w: u32) -> vec4<u32> { return vec4<u32>(w, w >> 8u, w >> 16u, w >> 24u) & vec4<u32>(15u); }
fn bits4(w: u32) -> vec4<u32> { return (vec4<u32>(w, w >> 1u, w >> 2u, w >> 3u) & vec4<u32>(1u)) << vec4<u32>(4u); }
fn signed4(w: u32) -> vec4<i32> { return vec4<i32>(vec4<u32>(w << 24u, w << 16u, w << 8u, w)) >> vec4<u32>(24u); }`;

/**
 * The scale and minimum of sub-block s of a q4_k or q5_k block: 6 bits each, out of three words.
 */
const scales = (array: string): string => `fn scale_minimum(at: u32, s: u32) -> vec2<f32> {
  let shift = 8u * (s & 3u);
  let first = ${array}[at + 1u] >> shift;
  let second = ${array}[at + 2u] >> shift;
  let third = ${array}[at + 3u] >> shift;
  let early = vec2<u32>(first & 63u, second & 63u);
  let late = vec2<u32>((third & 15u) | ((first >> 2u) & 48u), ((third >> 4u) & 15u) | ((second >> 2u) & 48u));
  return vec2<f32>(select(late, early, s < 4u)) * unpack2x16float(${array}[at]);
}`;

/** Body of weights4 for a block at word `at`, quad q of it; w(k) is word k of the block. */
const QUADS: Record<BlockType, (w: (k: string) => string) => string> = {
  q4_0: (w) => `let d = unpack2x16float(${w('0u')}).x;
  return d * (vec4<f32>(nibbles4(${w('1u + (q & 3u)')} >> (4u * (q >> 2u)))) - 8.0);`,
  q4_1: (w) => `let d = unpack2x16float(${w('0u')});
  return d.x * vec4<f32>(nibbles4(${w('1u + (q & 3u)')} >> (4u * (q >> 2u)))) + d.y;`,
  q5_0: (w) => `let d = unpack2x16float(${w('0u')}).x;
  let high = bits4(${w('1u')} >> (4u * q));
  return d * (vec4<f32>(nibbles4(${w('2u + (q & 3u)')} >> (4u * (q >> 2u))) | high) - 16.0);`,
  q5_1: (w) => `let d = unpack2x16float(${w('0u')});
  let high = bits4(${w('1u')} >> (4u * q));
  return d.x * vec4<f32>(nibbles4(${w('2u + (q & 3u)')} >> (4u * (q >> 2u))) | high) + d.y;`,
  q8_0: (w) => `return unpack2x16float(${w('0u')}).x * vec4<f32>(signed4(${w('1u + q')}));`,
  q4_k: (w) => `let s = q / 8u; let d = scale_minimum(at, s);
  return d.x * vec4<f32>(nibbles4(${w('4u + (s >> 1u) * 8u + (q & 7u)')} >> (4u * (s & 1u)))) - d.y;`,
  q5_k: (w) => `let s = q / 8u; let d = scale_minimum(at, s);
  let high = (bytes4(${w('4u + (q & 7u)')} >> s) & vec4<u32>(1u)) << vec4<u32>(4u);
  return d.x * vec4<f32>(nibbles4(${w('12u + (s >> 1u) * 8u + (q & 7u)')} >> (4u * (s & 1u))) | high) - d.y;`,
  q6_k: (w) => `let part = q / 32u; let quarter = (q / 8u) & 3u; let t = q & 7u;
  let low = nibbles4(${w('part * 16u + (quarter & 1u) * 8u + t')} >> (4u * (quarter >> 1u)));
  let high = (bytes4(${w('32u + part * 8u + t')} >> (2u * quarter)) & vec4<u32>(3u)) << vec4<u32>(4u);
  let s = part * 8u + quarter * 2u + (t >> 2u);
  let scale = unpack2x16float(${w('52u')}).x * f32(i32(${w('48u + (s >> 2u)')} << (24u - 8u * (s & 3u))) >> 24u);
  return scale * (vec4<f32>(low | high) - 32.0);`,
};

const PLAIN: Record<'f32' | 'f16' | 'bf16', (w: (k: string) => string) => string> = {
  f32: (w) =>
    `return bitcast<vec4<f32>>(vec4<u32>(${w('4u * i')}, ${w('4u * i + 1u')}, ${w('4u * i + 2u')}, ${w('4u * i + 3u')}));`,
  f16: (w) =>
    `return vec4<f32>(unpack2x16float(${w('2u * i')}), unpack2x16float(${w('2u * i + 1u')}));`,
  bf16: (w) =>
    `let p = ${w('2u * i')}; let r = ${w('2u * i + 1u')};\n  return vec4<f32>(${[...UNPACK.bf16('p'), ...UNPACK.bf16('r')].join(', ')});`,
};

/**
 * WGSL of `fn weights4(i: u32) -> vec4<f32>`: elements 4i to 4i + 3 of `array`, an array<u32> of a
 * packing.
 */
export function weights4(packing: Packing, array: string): string {
  if (!isBlockType(packing))
    return `fn weights4(i: u32) -> vec4<f32> {\n  ${PLAIN[packing]((k) => `${array}[${k}]`)}\n}`;
  const quads = blockFormats[packing].elements / 4;
  const twoLevels = packing === 'q4_k' || packing === 'q5_k';
  return `${HELPERS}
${twoLevels ? scales(array) : ''}
fn weights4(i: u32) -> vec4<f32> {
  let at = (i / ${quads}u) * ${blockWords(packing)}u; let q = i % ${quads}u;
  ${QUADS[packing]((k) => `${array}[at + ${k}]`)}
}`;
}
