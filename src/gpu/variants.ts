// Which kernel variants a run uses: measured or given, never guessed from a vendor's name; part of
// the run's record.
import type { DeviceTraits } from './device.ts';

/** Names by family (`product`), or by a class of its cases (`product/narrow`), which comes first. */
export type Choice = Readonly<Record<string, string>>;

/** The choices that kernels leave open, for a device. The names are written to a run's config. */
export interface Variants {
  device: DeviceTraits;
  names: Choice;
}

/** Variants by name on a device that can run all of them, to record without one. */
export const imagined = (names: Choice = {}): Variants => ({
  device: { subgroup: { min: 4, max: 4 }, workgroupBytes: 32768, f16: true },
  names,
});
