// Half-precision formats: IEEE binary16 (f16) and bfloat16 (bf16), to and from f32, rounding to
// nearest even.

const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);

/** The f32 value of one f16 bit pattern, exact. */
export function f16ToF32(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/**
 * The f16 bit pattern nearest to an f32 value (ties to even; beyond 65,504 to infinity as IEEE
 * says; NaN stays NaN).
 */
export function f32ToF16(value: number): number {
  float[0] = value;
  const x = word[0];
  const sign = (x >>> 16) & 0x8000;
  const exponent = (x >>> 23) & 0xff;
  const fraction = x & 0x7fffff;
  if (exponent === 0xff) return sign | 0x7c00 | (fraction === 0 ? 0 : 0x200 | (fraction >>> 13));
  const e = exponent - 127 + 15;
  if (e >= 31) return sign | 0x7c00;
  if (e <= 0) {
    const shift = 14 - e; // bits to drop from the 24-bit significand
    if (shift > 24) return sign;
    const significand = fraction | 0x800000;
    // a carry lands on the smallest normal, as it should
    return sign | roundShift(significand, shift);
  }
  // a carry walks into the exponent, up to infinity
  return sign | roundShift((e << 23) | fraction, 13);
}

/** value / 2^shift, rounded to nearest, ties to even. */
function roundShift(value: number, shift: number): number {
  const kept = Math.floor(value / 2 ** shift);
  const rest = value - kept * 2 ** shift;
  const half = 2 ** (shift - 1);
  return rest > half || (rest === half && (kept & 1) === 1) ? kept + 1 : kept;
}

/** The bf16 bit pattern nearest to an f32 value (ties to even; NaN stays NaN). */
export function f32ToBf16(value: number): number {
  float[0] = value;
  const x = word[0];
  if ((x & 0x7fffffff) >>> 0 > 0x7f800000) return (x >>> 16) | 0x40;
  return ((x + 0x7fff + ((x >>> 16) & 1)) >>> 16) & 0xffff;
}

/** f16 bit patterns to f32 values. */
export function f16ArrayToF32(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const out = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = f16ToF32(bits[i]);
  return out;
}

/** f32 values to f16 bit patterns. */
export function f32ArrayToF16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const out = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) out[i] = f32ToF16(values[i]);
  return out;
}

/** bf16 bit patterns to f32 values. */
export function bf16ArrayToF32(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i] << 16;
  return new Float32Array(words.buffer);
}

/** f32 values to bf16 bit patterns. */
export function f32ArrayToBf16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const out = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) out[i] = f32ToBf16(values[i]);
  return out;
}
