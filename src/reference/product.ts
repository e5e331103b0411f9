// Matrix products in float64, as plain loops: the specification of src/ops/product.

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
