// Kernel variants for tests that record without a device.
import type { Choice, Variants } from '../gpu/variants.ts';

/** Variants by name on a device that can run all of them. */
export const recorded = (names: Choice): Variants => ({
  device: { subgroup: { min: 4, max: 4 }, workgroupBytes: 32768, f16: true },
  names,
});
