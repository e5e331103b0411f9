// The grid of a launch, and cutting a long one along x, so that none holds a slow GPU for long.
import type { Kernel } from '../gpu/kernel.ts';

export const MAX_WORKGROUPS = 65535;

/**
 * Folds a count of workgroups into two dimensions; kernels take x + y·num_workgroups.x and check
 * the range.
 */
export function fold(count: number): [number, number, number] {
  if (count <= MAX_WORKGROUPS) return [Math.max(1, count), 1, 1];
  const y = Math.ceil(count / MAX_WORKGROUPS);
  return [Math.ceil(count / y), y, 1];
}

/** Launches with more flops than this are split: 100 ms at 200 GFLOP/s. */
export const MOST_FLOPS = 2e10;

/** Workgroups along x, from one on. */
export interface Part {
  first: number;
  count: number;
  flops: number;
}

/**
 * The fewest parts of about equal work with at most `most` flops each, or a workgroup along x each.
 * @param workgroups along x
 * @param falling whether work falls from workgroup to workgroup, to none at the last, as over the
 *   queries of a causal row; else it is the same for all
 */
export function cut(flops: number, workgroups: number, falling: boolean, most: number): Part[] {
  /** Share of the work of the first workgroups. */
  const before = (end: number) => {
    const share = end / workgroups;
    return falling ? 1 - (1 - share) ** 2 : share;
  };
  for (let n = Math.max(1, Math.ceil(flops / most)); ; n++) {
    const ends = Array.from({ length: n }, (_, i) => {
      const work = (i + 1) / n;
      return Math.round(workgroups * (falling ? 1 - Math.sqrt(1 - work) : work));
    });
    const parts = ends.flatMap((end, i) => {
      const first = i === 0 ? 0 : ends[i - 1];
      if (end === first) return [];
      return [{ first, count: end - first, flops: flops * (before(end) - before(first)) }];
    });
    if (n >= workgroups || parts.every((p) => p.flops <= most)) return parts;
  }
}

/** The param by which a kernel says that it can be cut: the first of its workgroups along x. */
const FIRST = 'first_group';

interface Launch {
  kernel: Kernel;
  params: Readonly<Record<string, number>>;
  workgroups: readonly [number, number, number];
  flops: number;
}

/**
 * A launch, and then its parts, where it has more than `most` flops and its kernel can be cut.
 * @param groups its workgroups as they were asked for, folded or not
 */
export function inParts<L extends Launch>(
  whole: L,
  groups: number | readonly [number, number, number],
  falling: boolean,
  most: number,
): L[] {
  if (!whole.kernel.params.some(({ name }) => name === FIRST)) return [whole];
  const isFlat = typeof groups === 'number';
  const of = (first: number) => ({ ...whole.params, [FIRST]: first });
  const parts = cut(whole.flops, isFlat ? groups : groups[0], falling, most);
  const launches = parts.map(({ first, count, flops }): L => {
    const workgroups = isFlat ? fold(count) : ([count, groups[1], groups[2]] as const);
    return { ...whole, params: of(first), workgroups, flops };
  });
  return [{ ...whole, params: of(0) }, ...(launches.length > 1 ? launches : [])];
}
