// RoPE and causal grouped attention in float64: the specification of src/ops/attention.

/**
 * Sizes of an attention: rows (sequences), seqLen (tokens each), heads, key–value heads, head size.
 */
export interface AttentionSize {
  rows: number;
  seqLen: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  /** Keys that a query sees at most, its own and those before it; by default all. */
  window?: number;
}

/**
 * Rotates x (tokens, heads, D) by tables (positions, D/2) at the position of each token; direction
 * −1 rotates back.
 */
export function rope(
  x: ArrayLike<number>,
  cosines: ArrayLike<number>,
  sines: ArrayLike<number>,
  positions: ArrayLike<number>,
  heads: number,
  headDim: number,
  direction = 1,
): Float64Array {
  const half = headDim / 2;
  const out = Float64Array.from(x);
  for (let token = 0; token < x.length / (heads * headDim); token++) {
    const position = positions[token];
    for (let h = 0; h < heads; h++) {
      for (let i = 0; i < half; i++) {
        const at = (token * heads + h) * headDim + i;
        const [c, s] = [cosines[position * half + i], direction * sines[position * half + i]];
        out[at] = x[at] * c - x[at + half] * s;
        out[at + half] = x[at + half] * c + x[at] * s;
      }
    }
  }
  return out;
}

/**
 * Output, and gradients where dO is given, of causal attention within documents. q (rows·seqLen, H,
 * D), k and v (rows·seqLen, G, D).
 * @param positions (rows·seqLen) each token's position in its document; by default a row is one
 *   document
 */
export function attention(
  q: ArrayLike<number>,
  k: ArrayLike<number>,
  v: ArrayLike<number>,
  size: AttentionSize,
  dO?: ArrayLike<number>,
  positions?: ArrayLike<number>,
) {
  const { rows, seqLen, heads, kvHeads, headDim: d, window = seqLen } = size;
  const o = new Float64Array(q.length);
  const dq = new Float64Array(q.length);
  const dk = new Float64Array(k.length);
  const dv = new Float64Array(k.length);
  const scale = 1 / Math.sqrt(d);
  for (let b = 0; b < rows; b++) {
    for (let h = 0; h < heads; h++) {
      const g = Math.floor(h / (heads / kvHeads));
      const key = (j: number) => ((b * seqLen + j) * kvHeads + g) * d;
      for (let t = 0; t < seqLen; t++) {
        const at = ((b * seqLen + t) * heads + h) * d;
        const dot = (a: ArrayLike<number>, i: number, c: ArrayLike<number>, j: number) => {
          let sum = 0;
          for (let e = 0; e < d; e++) sum += a[i + e] * c[j + e];
          return sum;
        };
        const first = t - Math.min(positions?.[b * seqLen + t] ?? t, window - 1);
        const seen = (j: number) => key(first + j);
        const scores = Array.from(
          { length: t + 1 - first },
          (_, j) => scale * dot(q, at, k, seen(j)),
        );
        const top = Math.max(...scores);
        const exps = scores.map((s) => Math.exp(s - top));
        const total = exps.reduce((a, c) => a + c, 0);
        const p = exps.map((e) => e / total);
        p.forEach((w, j) => {
          for (let e = 0; e < d; e++) o[at + e] += w * v[seen(j) + e];
        });
        if (!dO) continue;
        const dp = p.map((_, j) => dot(dO, at, v, seen(j)));
        const delta = dp.reduce((a, x, j) => a + x * p[j], 0);
        p.forEach((w, j) => {
          const ds = w * (dp[j] - delta) * scale;
          for (let e = 0; e < d; e++) {
            dq[at + e] += ds * k[seen(j) + e];
            dk[seen(j) + e] += ds * q[at + e];
            dv[seen(j) + e] += w * dO[at + e];
          }
        });
      }
    }
  }
  return { o, dq, dk, dv };
}
