// Values of a search: where it starts, its GuidedSelection Vectors site by site, and the allocation
// that they come to (method §2–3).

import { initialValues } from '../../adapters/init.ts';
import { type Allocation, allocationOfRanks, rankKey } from '../../allocation/allocation.ts';
import { Random } from '../../util/random.ts';
import { namedVectors, type SearchLayout } from './layout.ts';

/** Values of both stores of a search. */
export interface SearchValues {
  lower: Float32Array<ArrayBuffer>;
  upper: Float32Array<ArrayBuffer>;
}

/** Standard deviation of A and B at the start of a search. */
const SPREAD = 0.02;
/**
 * Standard deviation of the GSVs at the start of a search with sampled sizes: all sizes are equally
 * likely.
 */
const FLAT = 0.01;

/**
 * Where a search starts: A, B ~ N(0, 0.02²), routers as in a fresh adapter, row scales 1; GSVs
 * softmax(n), n ~ N(0, I), so that each argmax is uniformly random, or with sampled sizes 0.01·n.
 * One stream a bank or vector, by its name.
 */
export function initialSearchValues(
  layout: SearchLayout,
  sizes: 'argmax' | 'sampled',
  seed: number,
): SearchValues {
  const lower = initialValues(layout.adapter, seed);
  const upper = new Float32Array(layout.upper.size);
  const normal = (name: string, from: number, count: number) => {
    const random = new Random(seed, `search ${name}`);
    for (let i = 0; i < count; i++) lower[from + i] = SPREAD * random.normal();
  };
  for (const [group, { rowScale }] of layout.banks) {
    const { down, dropped, sites } = group;
    normal(down.name, down.offset, dropped * down.shape[1]);
    for (const { up } of sites) normal(up.name, up.offset, up.shape[0] * up.shape[1]);
    lower.fill(1, rowScale.offset, rowScale.offset + rowScale.shape[1]);
  }
  for (const v of namedVectors(layout).upper) {
    const random = new Random(seed, `search ${v.name}`);
    const n = Array.from({ length: v.count }, () => random.normal());
    const start = sizes === 'sampled' ? n.map((x) => FLAT * x) : softmax(n);
    upper.set(start, v.bank.offset + v.first);
  }
  return { lower, upper };
}

function softmax(g: readonly number[]): number[] {
  const top = Math.max(...g);
  const e = g.map((v) => Math.exp(v - top));
  const sum = e.reduce((a, b) => a + b, 0);
  return e.map((v) => v / sum);
}

/** All GSVs out of the upper store, site by site: g_E where there is one, then each g_R. */
export function siteValues(layout: SearchLayout, upper: Float32Array): Float32Array<ArrayBuffer> {
  const vectors = namedVectors(layout).upper;
  const out = new Float32Array(vectors.reduce((sum, v) => sum + v.count, 0));
  let at = 0;
  for (const v of vectors) {
    const from = v.bank.offset + v.first;
    out.set(upper.subarray(from, from + v.count), at);
    at += v.count;
  }
  return out;
}

/** The sites of a search in the order of their values. */
export const searchSites = (layout: SearchLayout) =>
  [...layout.banks.keys()].flatMap((g) => g.sites);

/**
 * Experts and ranks by the GSVs, given site by site: n = max(K, argmax g_E + 1), or argmax g_E
 * where sites can close; r_i = argmax g_R + 1. With one rank a site that is argmax g_R + 1, or
 * argmax g_R where sites can close.
 */
export function selection(layout: SearchLayout, values: Float32Array): Allocation {
  const { experts, closable, adapter } = layout;
  const { rank, topK } = adapter.spec;
  const extra = closable ? 1 : 0;
  const allocation: Allocation = { experts: {}, ranks: {} };
  let at = 0;
  const next = (count: number) => {
    const g = values.subarray(at, at + count);
    at += count;
    return g.reduce((best, v, i) => (v > g[best] ? i : best), 0);
  };
  if (adapter.method.sizes === 'rank') {
    const ranks = searchSites(layout).map(({ path }) => [path, next(rank + extra) + 1 - extra]);
    return allocationOfRanks(Object.fromEntries(ranks));
  }
  for (const { path } of searchSites(layout)) {
    const index = next(experts + extra);
    const count = closable ? index : Math.max(topK, index + 1);
    allocation.experts[path] = count;
    for (let i = 0; i < experts; i++) {
      const size = next(rank) + 1;
      if (i < count) allocation.ranks[rankKey(path, i)] = size;
    }
  }
  return allocation;
}
