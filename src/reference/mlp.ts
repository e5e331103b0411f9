// SwiGLU in float64: the specification of src/ops/mlp.

/** y and both gradients of silu(gate) · up. */
export function swiglu(
  gate: ArrayLike<number>,
  up: ArrayLike<number>,
  dy?: ArrayLike<number>,
): { y: Float64Array; dGate: Float64Array; dUp: Float64Array } {
  const [y, dGate, dUp] = [0, 1, 2].map(() => new Float64Array(gate.length));
  for (let i = 0; i < gate.length; i++) {
    const sigmoid = 1 / (1 + Math.exp(-gate[i]));
    y[i] = gate[i] * sigmoid * up[i];
    if (!dy) continue;
    dUp[i] = dy[i] * gate[i] * sigmoid;
    dGate[i] = dy[i] * up[i] * sigmoid * (1 + gate[i] * (1 - sigmoid));
  }
  return { y, dGate, dUp };
}
