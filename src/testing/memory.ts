// JavaScript memory under Node, for tests that bound it.
import { expect } from 'vitest';

/** Bytes of the heap and of buffers outside it, collected or not. */
export function memoryInUse(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Bytes that reading a damaged file of `size` bytes may take. */
export const damagedFileLimit = (size: number): number => 4 * size + 16 * 2 ** 20;

/** The most JavaScript memory at any sample; nothing is measured outside Node. */
export class PeakMemory {
  samples = 0;
  #peak = 0;

  sample(): void {
    this.samples++;
    if (typeof process === 'undefined' || !process.versions?.node) return;
    const { heapUsed, external, arrayBuffers } = process.memoryUsage();
    this.#peak = Math.max(this.#peak, heapUsed + external + arrayBuffers);
  }

  /** Fails unless it stayed below the bytes of the largest tensor and `more`. */
  expectWithin(largest: number, more: number): void {
    const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
    if (this.#peak > 0)
      console.info(
        `largest tensor ${mib(largest)} MiB, peak ${mib(this.#peak)} MiB of JavaScript memory`,
      );
    expect(this.#peak).toBeLessThan(largest + more);
  }
}
