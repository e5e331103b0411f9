// Which kernel variants a run uses: measured or given, never guessed from a vendor's name; part of
// the run's record.
import type { Gpu } from './device.ts';

/** The choices that kernels leave open. Written to a run's config and reused on resume. */
export interface Variants {
  /** Products: 4 lanes of a subgroup, one thread alone, or workgroup-memory tiles. */
  product: 'subgroup' | 'register' | 'tile';
  /** Row reductions: one thread a row, or one workgroup a row. */
  rows: 'thread' | 'workgroup';
}

/**
 * The product kernels that a device can run, those for software renderers first: the 4-lane one
 * needs subgroups, which are at least a quad.
 */
export const productVariants = (gpu: Gpu): Variants['product'][] => [
  ...(gpu.subgroup ? (['subgroup'] as const) : []),
  'register',
  'tile',
];

/**
 * Where subgroups are exactly 4 wide (a CPU renderer) the 4-lane kernels are fixed; elsewhere
 * tiles, until a measurement says otherwise.
 */
export function defaultVariants(gpu: Gpu): Variants {
  const four = gpu.subgroup?.min === 4 && gpu.subgroup.max === 4;
  return four ? { product: 'subgroup', rows: 'thread' } : { product: 'tile', rows: 'workgroup' };
}
