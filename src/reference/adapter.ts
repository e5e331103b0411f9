// The LoRA-MoE gate and balance loss in float64: the specification of src/ops/adapter.

/** An expert's rank and scale. */
export interface Expert {
  rank: number;
  scale: number;
}

/**
 * Gate of one token at one site: softmax p, and weights w of the K largest logits (ties to the
 * lower index), renormalised.
 */
export function gateOf(z: readonly number[], topK: number): { p: number[]; w: number[] } {
  const top = Math.max(...z);
  const e = z.map((v) => Math.exp(v - top));
  const all = e.reduce((a, b) => a + b, 0);
  const order = z.map((_, i) => i).sort((a, b) => z[b] - z[a] || a - b);
  const chosen = new Set(order.slice(0, topK));
  const sum = order.slice(0, topK).reduce((a, i) => a + e[i], 0);
  return { p: e.map((v) => v / all), w: e.map((v, i) => (chosen.has(i) ? v / sum : 0)) };
}

/** f, P and L_bal of one site from the gates of its real tokens (method §1, Switch form). */
export function balanceOf(
  gates: readonly { p: number[]; w: number[] }[],
  topK: number,
): { f: number[]; mean: number[]; loss: number } {
  const experts = gates[0].p.length;
  const f = Array.from(
    { length: experts },
    (_, e) => gates.filter((g) => g.w[e] > 0).length / (gates.length * topK),
  );
  const mean = Array.from(
    { length: experts },
    (_, e) => gates.reduce((a, g) => a + g.p[e], 0) / gates.length,
  );
  return { f, mean, loss: experts * f.reduce((a, v, e) => a + v * mean[e], 0) };
}

/**
 * A site's gate over all tokens: u, and from du the gradients of h and z; `real[n]` false leaves a
 * token out of the balance loss.
 */
export function gate(
  h: number[][],
  z: number[][],
  experts: readonly Expert[],
  topK: number,
  real: readonly boolean[],
  du?: number[][],
  balanceScale = 0,
) {
  const gates = z.map((row) => gateOf(row, topK));
  const { f, mean, loss } = balanceOf(
    gates.filter((_, n) => real[n]),
    topK,
  );
  const tokens = real.filter(Boolean).length;
  const owner = experts.flatMap((e, i) => Array.from({ length: e.rank }, () => i));
  const u = h.map((row, n) =>
    row.map((v, c) => gates[n].w[owner[c]] * experts[owner[c]].scale * v),
  );
  const dh = du?.map((row, n) =>
    row.map((d, c) => gates[n].w[owner[c]] * experts[owner[c]].scale * d),
  );
  const dz = du?.map((row, n) => {
    const { p, w } = gates[n];
    const dw = experts.map(
      (e, i) => e.scale * row.reduce((a, d, c) => a + (owner[c] === i ? d * h[n][c] : 0), 0),
    );
    const meanW = w.reduce((a, v, i) => a + v * dw[i], 0);
    const g = f.map((v) => (real[n] ? (balanceScale * experts.length * v) / tokens : 0));
    const meanP = p.reduce((a, v, i) => a + v * g[i], 0);
    return w.map((v, i) => v * (dw[i] - meanW) + p[i] * (g[i] - meanP));
  });
  return { gates, u, dh, dz, f, mean, loss };
}
