// Seeded random numbers: one generator for everything that is drawn on the host. Streams of one run
// are keyed by purpose.
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';
import type { JumpableRandomGenerator } from 'pure-rand/types/JumpableRandomGenerator';

/** Four 32-bit words from a string (the 128-bit murmur-like mix of cyrb128), never all zero. */
function hash128(text: string): number[] {
  const multipliers = [597399067, 2869860233, 951274213, 2716044179];
  const h = [1779033703, 3144134277, 1013904242, 2773480762];
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    for (let j = 0; j < 4; j++) h[j] = h[(j + 1) % 4] ^ Math.imul(h[j] ^ c, multipliers[j]);
  }
  for (let round = 0; round < 2; round++) {
    for (let j = 0; j < 4; j++)
      h[j] = Math.imul(h[j] ^ (h[(j + 3) % 4] >>> (14 + j)), multipliers[j]) + round;
  }
  return h.every((x) => (x | 0) === 0) ? [1, 2, 3, 4] : h.map((x) => x | 0);
}

/** A 32-bit key of (seed, purpose), for counter-based generators on the GPU. */
export const streamKey = (seed: number, purpose: string): number =>
  hash128(`${seed}:${purpose}`)[0] >>> 0;

/**
 * A stream of random numbers, a pure function of (seed, purpose); different purposes are
 * independent streams.
 */
export class Random {
  readonly #rng: JumpableRandomGenerator;
  #spare: number | null = null;

  constructor(seed: number, purpose: string) {
    this.#rng = xoroshiro128plusFromState(hash128(`${seed}:${purpose}`));
  }

  /** Uniform in [0, 1), a multiple of 2^-53. */
  uniform(): number {
    return uniformFloat64(this.#rng);
  }

  /** A whole number in 0 … n−1, without bias; n ≥ 1. */
  int(n: number): number {
    return uniformInt(this.#rng, 0, n - 1);
  }

  /** Standard normal (Box–Muller, both values used). */
  normal(): number {
    if (this.#spare !== null) {
      const value = this.#spare;
      this.#spare = null;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** Shuffles in place (Fisher–Yates) and returns its argument. */
  shuffle<T extends Int32Array | unknown[]>(values: T): T {
    for (let i = values.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      [values[i], values[j]] = [values[j], values[i]];
    }
    return values;
  }
}

/** A random order of 0 … n−1, a pure function of its arguments. */
export function permutation(
  n: number,
  seed: number,
  purpose = 'permutation',
): Int32Array<ArrayBuffer> {
  return new Random(seed, purpose).shuffle(Int32Array.from({ length: n }, (_, i) => i));
}
