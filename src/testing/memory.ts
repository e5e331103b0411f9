// JavaScript memory under Node, for tests that bound it.

/** Bytes of the heap and of buffers outside it, collected or not. */
export function memoryInUse(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Bytes that reading a damaged file of `size` bytes may take. */
export const damagedFileLimit = (size: number): number => 4 * size + 16 * 2 ** 20;
