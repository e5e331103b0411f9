// Dropout's mask in plain loops: the specification of src/ops/elementwise.

/**
 * One round of PCG's output permutation in its 32-bit form: the hash of every counter-based draw on
 * the device.
 */
export const mix = (v: number): number => {
  const state = (Math.imul(v, 747796405) + 2891336453) >>> 0;
  const word = Math.imul(((state >>> ((state >>> 28) + 4)) ^ state) >>> 0, 277803737) >>> 0;
  return ((word >>> 22) ^ word) >>> 0;
};

/**
 * Multipliers (0 or 1/(1 − p)) of tokens of `width` channels for one input of one micro-batch.
 * @param places each token's row and position there
 */
export function dropoutMask(
  places: readonly (readonly [number, number])[],
  width: number,
  key: { seed: number; step: number; micro: number; input: number },
  p: number,
): Float64Array {
  const stream = mix(
    (key.input ^ mix((key.micro ^ mix((key.step ^ mix(key.seed)) >>> 0)) >>> 0)) >>> 0,
  );
  const limit = Math.fround(Math.fround(p) * 16777216);
  return Float64Array.from({ length: places.length * width }, (_, i) => {
    const [row, position] = places[Math.floor(i / width)];
    const place = mix((position ^ mix((row ^ stream) >>> 0)) >>> 0);
    return mix(((i % width) ^ place) >>> 0) >>> 8 >= limit ? 1 / (1 - p) : 0;
  });
}
