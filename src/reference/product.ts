// Matrix products in float64, as plain loops: the specification of src/ops/product.
import { f16ArrayToF32, f32ArrayToF16 } from '../util/f16.ts';

/**
 * What becomes of an element of A in half precision (precision "fast"): the bits that a high half
 * holds, and what they leave as a low half that is stored times 2048.
 */
export function inHalves(v: number): number {
  const half = (x: number) => f16ArrayToF32(f32ArrayToF16(Float32Array.of(x)))[0];
  const bits = new Uint32Array(Float32Array.of(v).buffer);
  bits[0] &= 0xffffe000;
  const [high] = new Float32Array(bits.buffer);
  return half(high) + half((v - high) * 2048) / 2048;
}

/** C (M, N) = A·B with element functions a(m, k) and b(k, n). */
export function matmul(
  m: number,
  n: number,
  k: number,
  a: (m: number, k: number) => number,
  b: (k: number, n: number) => number,
): Float64Array {
  const out = new Float64Array(m * n);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let q = 0; q < k; q++) sum += a(i, q) * b(q, j);
      out[i * n + j] = sum;
    }
  }
  return out;
}
