// Choosing the next token from logits: greedy, or temperature and top-p with a seed.
import type { Random } from '../util/random.ts';

/** How tokens are chosen. Temperature 0 is greedy; ties go to the lower id. */
export interface Sampling {
  temperature: number;
  /**
   * Nucleus: the smallest set of tokens whose probabilities reach topP (Holtzman et al. 2020); 1
   * keeps all.
   */
  topP: number;
}

/** The id of the largest logit. */
export function greedy(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
  return best;
}

/** The next token's id. */
export function sample(
  logits: Float32Array,
  { temperature, topP }: Sampling,
  random: Random,
): number {
  if (temperature === 0) return greedy(logits);
  const top = logits[greedy(logits)];
  const weights = Array.from(logits, (v, id) => ({ id, w: Math.exp((v - top) / temperature) }));
  const total = weights.reduce((a, { w }) => a + w, 0);
  weights.sort((a, b) => b.w - a.w || a.id - b.id);
  let kept = 0;
  let count = 0;
  while (count < weights.length && (count === 0 || kept < topP * total)) kept += weights[count++].w;
  let at = random.uniform() * kept;
  for (let i = 0; i < count; i++) {
    at -= weights[i].w;
    if (at < 0) return weights[i].id;
  }
  return weights[count - 1].id;
}
