// AdamW with global-norm clipping in float64: the specification of src/ops/optim.

/**
 * One update of flat arrays in place, as PyTorch's clip_grad_norm_ and AdamW; returns the norm
 * before clipping. t counts from 1.
 */
export function adamw(
  state: { value: Float64Array; grad: Float64Array; m: Float64Array; v: Float64Array },
  t: number,
  o: {
    learningRate: number;
    weightDecay: number;
    clipNorm: number;
    beta1: number;
    beta2: number;
    eps: number;
  },
): number {
  const norm = Math.sqrt(state.grad.reduce((a, g) => a + g * g, 0));
  const factor = o.clipNorm === 0 ? 1 : Math.min(1, o.clipNorm / (norm + 1e-6));
  for (let i = 0; i < state.value.length; i++) {
    const g = state.grad[i] * factor;
    state.m[i] = o.beta1 * state.m[i] + (1 - o.beta1) * g;
    state.v[i] = o.beta2 * state.v[i] + (1 - o.beta2) * g * g;
    const mHat = state.m[i] / (1 - o.beta1 ** t);
    const vHat = state.v[i] / (1 - o.beta2 ** t);
    state.value[i] =
      state.value[i] * (1 - o.learningRate * o.weightDecay) -
      (o.learningRate * mHat) / (Math.sqrt(vHat) + o.eps);
    state.grad[i] = 0;
  }
  return norm;
}
