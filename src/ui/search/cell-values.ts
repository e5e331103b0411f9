// What every cell of a heatmap looks like, as few small numbers: cells are painted again only where
// these change.
import { type Allocation, siteRanks } from '../../allocation/allocation.ts';
import { isDead, type Routing } from '../../state/recent-routing.ts';
import type { SearchFrame } from '../../state/search-history.ts';
import type { Margins } from './grid.ts';

/**
 * `width` numbers a site, site by site. A first number of 0 means that nothing is known yet; else
 * it is the size plus 1.
 */
export interface Looks {
  width: number;
  values: Uint16Array;
}

/** What a grid shows, read outside React whenever it may have changed. */
export interface CellSource {
  /** Calls `listener` after every change; returns how to stop it. */
  subscribe(listener: () => void): () => void;
  looks(): Looks;
  /** Means shown on the right and below. */
  margins?(): Margins;
  /** What a site's cell says to a screen reader. */
  label(site: number): string;
}

/** A source that stands still. */
export const still = (source: Omit<CellSource, 'subscribe'>): CellSource => ({
  ...source,
  subscribe: () => () => {},
});

/** Steps that probabilities and shares are rounded to: finer ones cannot be told apart. */
export const levels = 10;

const empty = (sites: number, width: number): Looks => ({
  width,
  values: new Uint16Array(sites * width),
});

/** Heatmap A: size + 1, level of confidence, settled. */
export function sizeLooks(frame: SearchFrame | null, sites: number): Looks {
  const looks = empty(sites, 3);
  if (frame) {
    for (let s = 0; s < sites; s++) {
      looks.values[3 * s] = frame.sizes[s] + 1;
      looks.values[3 * s + 1] = Math.round(frame.confidence[s] * levels);
      looks.values[3 * s + 2] = frame.settled[s];
    }
  }
  return looks;
}

/** Heatmap B as bars: count + 1, then the rank of every expert, open or not. */
export function rankLooks(frame: SearchFrame | null, sites: number, experts: number): Looks {
  const looks = empty(sites, experts + 1);
  if (frame) {
    for (let s = 0; s < sites; s++) {
      looks.values[s * looks.width] = frame.counts[s] + 1;
      looks.values.set(frame.ranks.subarray(s * experts, (s + 1) * experts), s * looks.width + 1);
    }
  }
  return looks;
}

/** Sum of the ranks of a site's open experts. */
export function openRanks(frame: SearchFrame, site: number, experts: number): number {
  let sum = 0;
  for (let i = 0; i < frame.counts[site]; i++) sum += frame.ranks[site * experts + i];
  return sum;
}

/** Heatmap B as colours: count + 1, ten times the mean rank of the open experts. */
export function meanRankLooks(frame: SearchFrame | null, sites: number, experts: number): Looks {
  const looks = empty(sites, 2);
  if (frame) {
    for (let s = 0; s < sites; s++) {
      const count = frame.counts[s];
      looks.values[2 * s] = count + 1;
      looks.values[2 * s + 1] =
        count === 0 ? 0 : Math.round((10 * openRanks(frame, s, experts)) / count);
    }
  }
  return looks;
}

/**
 * Heatmap C: count + 1, then for every expert its share in hundredths, plus 1000 where it is dead.
 */
export function routingLooks(routing: Routing, experts: number): Looks {
  const looks = empty(routing.sites.length, experts + 1);
  let at = 0;
  routing.sites.forEach((site, s) => {
    looks.values[s * looks.width] = site.experts + 1;
    for (let i = 0; i < site.experts; i++) {
      const share = routing.shares[at + i];
      looks.values[s * looks.width + 1 + i] =
        Math.round(100 * share) + (isDead(share, site.experts) ? 1000 : 0);
    }
    at += site.experts;
  });
  return looks;
}

/** An allocation: count + 1, locked, then the rank of every expert. */
export function allocationLooks(
  paths: readonly string[],
  allocation: Allocation,
  locked: ReadonlySet<string>,
  experts: number,
): Looks {
  const looks = empty(paths.length, experts + 2);
  paths.forEach((path, s) => {
    looks.values[s * looks.width] = allocation.experts[path] + 1;
    looks.values[s * looks.width + 1] = locked.has(path) ? 1 : 0;
    looks.values.set(siteRanks(allocation, path), s * looks.width + 2);
  });
  return looks;
}

/** An allocation of one rank a site: rank + 1, locked. */
export function rankAllocationLooks(
  paths: readonly string[],
  allocation: Allocation,
  locked: ReadonlySet<string>,
): Looks {
  const looks = empty(paths.length, 2);
  paths.forEach((path, s) => {
    looks.values[2 * s] = (siteRanks(allocation, path)[0] ?? 0) + 1;
    looks.values[2 * s + 1] = locked.has(path) ? 1 : 0;
  });
  return looks;
}

/**
 * Sites whose look differs from what was painted; all of them where nothing was, or a different
 * kind of look.
 */
export function changedSites(painted: Looks | null, next: Looks): number[] {
  const { width, values } = next;
  const sites = values.length / width;
  const out: number[] = [];
  for (let s = 0; s < sites; s++) {
    let same =
      painted !== null && painted.width === width && painted.values.length === values.length;
    for (let i = s * width; same && i < (s + 1) * width; i++)
      same = painted!.values[i] === values[i];
    if (!same) out.push(s);
  }
  return out;
}
