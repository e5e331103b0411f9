// Changing an allocation by hand before training: sizes of one linear, locks, a parameter count,
// other allocations swapped in.
import { InputError } from '../util/error.ts';
import {
  type Allocation,
  parameterCount,
  rankKey,
  type SiteCost,
  siteRanks,
  uniformAllocation,
} from './allocation.ts';
import {
  fitToParameters,
  type PresetName,
  type PresetOptions,
  presetAllocation,
} from './presets.ts';

/** The largest sizes that a linear may have: adapter.experts and adapter.rank. */
export interface Limits {
  maxExperts: number;
  maxRank: number;
}

/** Module paths of the linears that must stay as they are. */
export type Locks = ReadonlySet<string>;

/**
 * The allocation with `ranks` at `path`, one an expert (none: the plain linear). Keys keep their
 * order.
 */
export function withSite(
  allocation: Allocation,
  path: string,
  ranks: readonly number[],
): Allocation {
  return assemble(allocation, (site) => (site === path ? ranks : siteRanks(allocation, site)));
}

/**
 * With `count` experts at `path`: the first ones keep their ranks, new ones get the last one's
 * (`maxRank` where there was none).
 */
export function withCount(
  allocation: Allocation,
  path: string,
  count: number,
  { maxExperts, maxRank }: Limits,
): Allocation {
  const ranks = siteRanks(allocation, path);
  const wanted = Math.min(maxExperts, Math.max(0, Math.round(count)));
  return withSite(
    allocation,
    path,
    Array.from({ length: wanted }, (_, i) => ranks[i] ?? ranks.at(-1) ?? maxRank),
  );
}

/** With rank `rank` (1 … maxRank) for one expert of `path`. */
export function withRank(
  allocation: Allocation,
  path: string,
  expert: number,
  rank: number,
  { maxRank }: Limits,
): Allocation {
  const wanted = Math.min(maxRank, Math.max(1, Math.round(rank)));
  return withSite(
    allocation,
    path,
    siteRanks(allocation, path).map((r, i) => (i === expert ? wanted : r)),
  );
}

/**
 * `other` at the linears that are not locked, `allocation` at those that are. Both name the same
 * linears.
 */
export function swapIn(allocation: Allocation, other: Allocation, locked: Locks): Allocation {
  return assemble(allocation, (site) => siteRanks(locked.has(site) ? allocation : other, site));
}

/**
 * Scales what is not locked until the whole has as nearly as possible `parameters` trainable
 * parameters (fitToParameters on the rest of the number). Locked linears and those without experts
 * stay as they are.
 * @throws InputError('bad-config') where everything is locked, or with the range that can be
 *   reached
 */
export function fitUnlocked(
  allocation: Allocation,
  locked: Locks,
  cost: SiteCost,
  parameters: number,
  limits: Limits,
): Allocation {
  const part = (keep: (path: string) => boolean): Allocation => {
    const experts = Object.fromEntries(
      Object.entries(allocation.experts).filter(([path]) => keep(path)),
    );
    return assemble({ experts, ranks: {} }, (site) => siteRanks(allocation, site));
  };
  const free = part((path) => !locked.has(path));
  if (!Object.values(free.experts).some((count) => count > 0))
    throw new InputError(
      'bad-config',
      'Every open linear is locked: unlock some to change the number of parameters.',
    );
  const fixed = parameterCount(
    part((path) => locked.has(path)),
    cost,
  );
  const range = [
    assemble(free, (site) => (free.experts[site] > 0 ? [1] : [])),
    assemble(free, (site) =>
      free.experts[site] > 0 ? Array<number>(limits.maxExperts).fill(limits.maxRank) : [],
    ),
  ].map((end) => fixed + parameterCount(end, cost));
  if (!Number.isInteger(parameters) || parameters < range[0] || parameters > range[1])
    throw new InputError(
      'bad-config',
      `${parameters} trainable parameters cannot be reached: with the locked linears (${fixed} parameters) the total can be ${range[0]} to ${range[1]}.`,
    );
  return swapIn(allocation, fitToParameters(free, cost, parameters - fixed, limits), locked);
}

/**
 * An allocation by name, for swapping in.
 * @throws InputError('bad-config') where it needs more than the limits
 */
export const namedAllocation = (
  name: 'uniform' | PresetName,
  options: PresetOptions,
): Allocation =>
  name === 'uniform'
    ? uniformAllocation(options.layers, options.targets, options.maxExperts, options.maxRank)
    : presetAllocation(name, options);

/** Locks all of `paths`, or unlocks them where all are locked. */
export function toggleLocks(locked: Locks, paths: readonly string[]): Locks {
  const next = new Set(locked);
  const all = paths.every((path) => locked.has(path));
  for (const path of paths) {
    if (all) next.delete(path);
    else next.add(path);
  }
  return next;
}

/** An allocation of the same linears as `like`, with the ranks that `ranksOf` gives for each. */
function assemble(like: Allocation, ranksOf: (path: string) => readonly number[]): Allocation {
  const made: Allocation = { experts: {}, ranks: {} };
  for (const path of Object.keys(like.experts)) {
    const ranks = ranksOf(path);
    made.experts[path] = ranks.length;
    ranks.forEach((rank, i) => {
      made.ranks[rankKey(path, i)] = rank;
    });
  }
  return made;
}
