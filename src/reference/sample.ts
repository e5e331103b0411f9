// Sampling the next token from logits in float64: the specification of src/ops/sample.

/** The id of the largest logit; of equal ones the lowest. */
export function greedy(logits: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
  return best;
}

/**
 * The next token's id: greedy at temperature 0; else among the smallest set of tokens whose
 * probabilities reach topP (of equal ones the lowest ids), the first in order of ids at which their
 * sum passes `draw` (in [0, 1)) of it.
 */
export function nextToken(
  logits: ArrayLike<number>,
  temperature: number,
  topP: number,
  draw: number,
): number {
  const best = greedy(logits);
  if (temperature === 0) return best;
  const weights = Array.from(logits, (v) => Math.exp((v - logits[best]) / temperature));
  const total = weights.reduce((a, w) => a + w, 0);
  const order = [...weights.keys()].sort((a, b) => weights[b] - weights[a] || a - b);
  const kept: number[] = [];
  let sum = 0;
  for (const id of order) {
    if (kept.length > 0 && topP < 1 && sum >= topP * total) break;
    kept.push(id);
    sum += weights[id];
  }
  kept.sort((a, b) => a - b);
  let at = draw * sum;
  for (const id of kept) {
    at -= weights[id];
    if (at < 0) return id;
  }
  return kept[kept.length - 1];
}
