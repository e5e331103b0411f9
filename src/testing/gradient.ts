// Central finite differences in float64: what proves the reference.
import { expect } from 'vitest';

/**
 * Fails unless `gradient` is the derivative of the scalar f at x, entry by entry, within `bound` of
 * the largest entry.
 */
export function expectGradient(
  f: (x: Float64Array) => number,
  x: ArrayLike<number>,
  gradient: ArrayLike<number>,
  bound = 1e-6,
  step = 1e-5,
): void {
  const at = Float64Array.from(x);
  const largest = Math.max(...Array.from(gradient, Math.abs), 1e-6);
  for (let i = 0; i < at.length; i++) {
    const kept = at[i];
    at[i] = kept + step;
    const above = f(at);
    at[i] = kept - step;
    const below = f(at);
    at[i] = kept;
    const slope = (above - below) / (2 * step);
    expect(
      Math.abs(slope - gradient[i]) / largest,
      `entry ${i}: slope ${slope}, gradient ${gradient[i]}`,
    ).toBeLessThan(bound);
  }
}

/** Σ a·b, to make a scalar of an output. */
export const inner = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.prototype.reduce.call(a, (s, v, i) => (s as number) + (v as number) * b[i], 0) as number;
