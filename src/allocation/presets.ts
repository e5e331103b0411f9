// Built-in allocations, and fitting any allocation to a number of trainable parameters, so that
// comparisons are equal in budget.
import { InputError } from '../util/error.ts';
import { Random } from '../util/random.ts';
import {
  type Allocation,
  rankKey,
  type SiteCost,
  sitePaths,
  siteRanks,
  type Target,
} from './allocation.ts';

/** Built-in allocations besides the uniform one. */
export const presetNames = [
  'mola-2468',
  'mola-8642',
  'mola-5555',
  'mola-8888',
  'mola-2882',
  'hilo',
  'random',
] as const;
export type PresetName = (typeof presetNames)[number];

export interface PresetOptions {
  layers: number;
  targets: readonly Target[];
  /** The configured adapter.experts, adapter.rank and adapter.topK. */
  maxExperts: number;
  maxRank: number;
  topK: number;
  /** Of `random` only. */
  seed: number;
}

/**
 * Which of four equal groups a layer is in: ⌊4·layer / layers⌋. Sizes differ by one at most; below
 * four layers some groups stay empty.
 */
export const layerGroup = (layer: number, layers: number): number =>
  Math.floor((4 * layer) / layers);

/** Expert counts by layer group; null for `random`. */
function groupCounts(name: PresetName): number[] | null {
  if (name === 'random') return null;
  return name === 'hilo' ? [2, 4, 6, 8] : Array.from(name.slice('mola-'.length), Number);
}

/**
 * The largest expert count and rank that a preset asks for, whatever the depth; 1 where it takes
 * any.
 */
export function presetNeeds(name: PresetName): { experts: number; rank: number } {
  const experts = Math.max(1, ...(groupCounts(name) ?? []));
  return { experts, rank: name === 'hilo' ? experts : 1 };
}

/**
 * A built-in allocation for a decoder of any depth (method §3, "Baselines").
 * - `mola-…` (MoLA, arXiv 2402.08562): one digit a layer group is the count of every site there;
 * every rank is maxRank.
 * - `hilo`: count and rank are both 2, 4, 6, 8 by layer group.
 * - `random`: the GuidedSelection Vectors' own start. Their argmax is uniform, so a count is
 * max(topK, u) with u uniform in
 *   1 … maxExperts, and a rank uniform in 1 … maxRank. One stream a site: its draw depends on the
 * seed and its path alone.
 * @throws InputError('bad-config') where the preset needs more than adapter.experts or adapter.rank
 */
export function presetAllocation(name: PresetName, options: PresetOptions): Allocation {
  const { layers, targets, maxExperts, maxRank, topK, seed } = options;
  const needs = presetNeeds(name);
  const refuse = (what: string, need: number, key: string, value: number) =>
    new InputError(
      'bad-config',
      `allocation "${name}" needs ${what} ${need}, more than ${key} (${value}).`,
    );
  if (needs.experts > maxExperts)
    throw refuse('an expert count of', needs.experts, 'adapter.experts', maxExperts);
  if (needs.rank > maxRank) throw refuse('a rank of', needs.rank, 'adapter.rank', maxRank);

  const counts = groupCounts(name);
  const paths = sitePaths(layers, targets);
  const perLayer = paths.length / layers;
  const allocation: Allocation = { experts: {}, ranks: {} };
  paths.forEach((path, site) => {
    const random = new Random(seed, `allocation ${path}`);
    const count = counts
      ? counts[layerGroup(Math.floor(site / perLayer), layers)]
      : Math.max(topK, 1 + random.int(maxExperts));
    allocation.experts[path] = count;
    for (let i = 0; i < count; i++)
      allocation.ranks[rankKey(path, i)] = !counts
        ? 1 + random.int(maxRank)
        : name === 'hilo'
          ? count
          : maxRank;
  });
  return allocation;
}

/** An integer size that is scaled in proportion to its weight: a rank, or a count of experts. */
interface Item {
  site: number;
  weight: number;
  min: number;
  max: number;
  /** Of items that round at the same factor, the one with the lower turn grows first. */
  turn: number;
}

/**
 * Sizes clamp(round(t · weight), min, max) for the one factor t whose total cost comes nearest to
 * `budget` (the lower where two are equally near). Items that round up at the same t do so one
 * after the other, by turn. At t = 1 whole weights are themselves.
 * @param cost parameters of a site, given the sizes of all items
 */
function proportional(
  items: readonly Item[],
  sites: number,
  budget: number,
  cost: (site: number, sizes: readonly number[]) => number,
): number[] {
  const at = (t: number) =>
    items.map((i) => Math.min(i.max, Math.max(i.min, Math.floor(t * i.weight + 0.5))));
  const total = (sizes: readonly number[]) => {
    let sum = 0;
    for (let site = 0; site < sites; site++) sum += cost(site, sizes);
    return sum;
  };
  let low = 0;
  let high = Math.max(0, ...items.map((i) => (i.max + 1) / i.weight));
  if (total(at(low)) >= budget) return at(low);
  if (total(at(high)) <= budget) return at(high);
  for (let halvings = 0; halvings < 100; halvings++) {
    const middle = (low + high) / 2;
    if (total(at(middle)) <= budget) low = middle;
    else high = middle;
  }
  const sizes = at(low);
  const next = at(high);
  const growing = items.map((_, i) => i).filter((i) => next[i] > sizes[i]);
  let left = budget - total(sizes);
  for (const i of growing.sort((a, b) => items[a].turn - items[b].turn)) {
    const { site } = items[i];
    const before = cost(site, sizes);
    sizes[i]++;
    const more = cost(site, sizes) - before;
    if (2 * left <= more) {
      sizes[i]--;
      break;
    }
    left -= more;
  }
  return sizes;
}

/** Turns that spread a site's neighbours apart: multiples of the golden ratio, modulo 1. */
const spread = (site: number): number => ((site + 1) * 0.6180339887498949) % 1;

const filled = (count: number, rank: number): number[] => Array<number>(count).fill(rank);

/**
 * Scales an allocation to come as near as possible to a number of trainable parameters, by a rule
 * that draws nothing and keeps its shape:
 * 1. Counts stay, and every rank is multiplied by one common factor and rounded, within 1 … maxRank.
 *    Experts that round up at the same factor do so one at a time, a site's first expert first, over
 *    sites spread evenly, until the total is nearest.
 * 2. Where ranks of 1 are still too many, ranks are 1 and the counts shrink by the same rule, not
 *    below 1.
 * 3. Where ranks of maxRank are still too few, ranks are maxRank and the counts grow by the same
 *    rule, up to maxExperts.
 * Sites without experts stay so. Fitted to its own count an allocation stays what it is, and of two
 * experts the one of the larger rank never gets the smaller. The error is half a row of one expert
 * at most (1), or half an expert (2, 3).
 * @throws InputError('bad-config') naming adapter.parameters where the number is more than 5 %
 *   beyond what rules 2 and 3 can reach
 */
export function fitToParameters(
  allocation: Allocation,
  cost: SiteCost,
  parameters: number,
  limits: { maxExperts: number; maxRank: number },
): Allocation {
  const { maxExperts, maxRank } = limits;
  const sites = Object.entries(allocation.experts).flatMap(([path, count], index) =>
    count > 0 ? [{ path, count, ranks: siteRanks(allocation, path), turn: spread(index) }] : [],
  );
  const total = (ranks: (s: (typeof sites)[number]) => number[]) =>
    sites.reduce((sum, s) => sum + cost(s.path, ranks(s)), 0);
  const least = total(() => [1]);
  const most = total(() => filled(maxExperts, maxRank));
  if (parameters < 0.95 * least || parameters > 1.05 * most)
    throw new InputError(
      'bad-config',
      `adapter.parameters is ${parameters}: this allocation can have ${least} to ${most} trainable parameters, with ${maxExperts > 1 ? `up to ${maxExperts} experts (adapter.experts) of ` : ''}rank ${maxRank} (adapter.rank) at most.`,
    );

  const fitted: Allocation = { experts: { ...allocation.experts }, ranks: {} };
  const setCounts = (rank: number, range: (count: number) => { min: number; max: number }) => {
    const items = sites.map((s, site) => ({
      site,
      weight: s.count,
      ...range(s.count),
      turn: s.turn,
    }));
    const counts = proportional(items, sites.length, parameters, (site, sizes) =>
      cost(sites[site].path, filled(sizes[site], rank)),
    );
    counts.forEach((count, i) => {
      fitted.experts[sites[i].path] = count;
      for (let e = 0; e < count; e++) fitted.ranks[rankKey(sites[i].path, e)] = rank;
    });
    return fitted;
  };
  if (parameters < total((s) => filled(s.count, 1)))
    return setCounts(1, (count) => ({ min: 1, max: count }));
  if (parameters > total((s) => filled(s.count, maxRank)))
    return setCounts(maxRank, (count) => ({ min: count, max: maxExperts }));
  const items = sites.flatMap((s, site) =>
    s.ranks.map((weight, i) => ({ site, weight, min: 1, max: maxRank, turn: i + s.turn })),
  );
  const firsts = sites.map((_, site) => items.findIndex((item) => item.site === site));
  const own = (site: number, sizes: readonly number[]) =>
    sizes.slice(firsts[site], firsts[site] + sites[site].count);
  const ranks = proportional(items, sites.length, parameters, (site, sizes) =>
    cost(sites[site].path, own(site, sizes)),
  );
  sites.forEach((s, site) => {
    own(site, ranks).forEach((rank, i) => {
      fitted.ranks[rankKey(s.path, i)] = rank;
    });
  });
  return fitted;
}
