// Cross-entropy in float64: the specification of src/ops/loss.

/**
 * Loss of each row of logits (rows, vocab), 0 where the target is not in the vocabulary, and ∂(Σ
 * loss · scale)/∂logits.
 */
export function crossEntropy(
  logits: ArrayLike<number>,
  targets: ArrayLike<number>,
  vocab: number,
  scale: number,
): { losses: Float64Array; gradient: Float64Array } {
  const losses = new Float64Array(targets.length);
  const gradient = new Float64Array(logits.length);
  for (let r = 0; r < targets.length; r++) {
    if (targets[r] >= vocab) continue;
    let top = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < vocab; i++) top = Math.max(top, logits[r * vocab + i]);
    let sum = 0;
    for (let i = 0; i < vocab; i++) sum += Math.exp(logits[r * vocab + i] - top);
    losses[r] = top + Math.log(sum) - logits[r * vocab + targets[r]];
    for (let i = 0; i < vocab; i++)
      gradient[r * vocab + i] =
        scale * (Math.exp(logits[r * vocab + i] - top) / sum - (i === targets[r] ? 1 : 0));
  }
  return { losses, gradient };
}
