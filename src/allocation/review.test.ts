// Changing an allocation by hand: edits, locks that hold whatever is done, exact totals.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { siteCost } from '../adapters/methods/methods.ts';
import type { SiteDims } from '../allocation/allocation.ts';
import {
  type Allocation,
  parameterCount,
  siteDims,
  sitePaths,
  siteRanks,
  targetNames,
  targetOf,
} from './allocation.ts';
import { presetAllocation } from './presets.ts';
import {
  fitUnlocked,
  type Limits,
  namedAllocation,
  swapIn,
  toggleLocks,
  withCount,
  withRank,
  withSite,
} from './review.ts';

const moe = (dims: SiteDims) => siteCost('lora-moe', dims);

const dims = siteDims({ hidden: 32, heads: 4, kvHeads: 2, headDim: 8, feedForward: 64 });
const limits: Limits = { maxExperts: 8, maxRank: 8 };
const options = { layers: 4, targets: targetNames, ...limits, topK: 2, seed: 3 };
const paths = sitePaths(4, targetNames);
const found = presetAllocation('random', options);
const [q0, k0] = paths;
const plain = (allocation: Allocation) =>
  Object.keys(allocation.experts).reduce((sum, path) => {
    const { inputs, outputs } = dims[targetOf(path)];
    return (
      sum + siteRanks(allocation, path).reduce((s, r) => s + r * (inputs + outputs) + inputs, 0)
    );
  }, 0);

describe('edits', () => {
  test('fewer experts drop the last ones; more take the last rank, or the largest where there was none', () => {
    const start = withSite(found, q0, [3, 5, 2]);
    expect(siteRanks(withCount(start, q0, 2, limits), q0)).toEqual([3, 5]);
    expect(siteRanks(withCount(start, q0, 5, limits), q0)).toEqual([3, 5, 2, 2, 2]);
    expect(siteRanks(withCount(start, q0, 99, limits), q0)).toHaveLength(8);
    const closed = withCount(start, q0, 0, limits);
    expect([closed.experts[q0], siteRanks(closed, q0)]).toEqual([0, []]);
    expect(siteRanks(withCount(closed, q0, 2, limits), q0)).toEqual([8, 8]);
    expect(Object.keys(closed.ranks).some((key) => key.startsWith(`${q0}.`))).toBe(false);
  });

  test('one rank changes, within its limits, and nothing else does', () => {
    const start = withSite(found, q0, [3, 5]);
    expect(siteRanks(withRank(start, q0, 1, 7, limits), q0)).toEqual([3, 7]);
    expect(siteRanks(withRank(start, q0, 0, 0, limits), q0)).toEqual([1, 5]);
    expect(siteRanks(withRank(start, q0, 0, 12, limits), q0)).toEqual([8, 5]);
    expect(withSite(withRank(start, q0, 1, 7, limits), q0, [3, 5])).toEqual(start);
  });

  test('the order of linears stays that of the layers', () => {
    expect(Object.keys(withCount(found, paths[9], 0, limits).experts)).toEqual(paths);
  });
});

describe('locks', () => {
  test('a group is locked as a whole, and unlocked where all of it is locked', () => {
    const one = toggleLocks(new Set(), [q0]);
    const both = toggleLocks(one, [q0, k0]);
    expect([...both].sort()).toEqual([k0, q0].sort());
    expect([...toggleLocks(both, [q0, k0])]).toEqual([]);
  });

  test('swapping in leaves locked linears alone', () => {
    const locked = new Set([q0, paths[5]]);
    const mixed = swapIn(found, namedAllocation('uniform', options), locked);
    for (const path of paths)
      expect(siteRanks(mixed, path)).toEqual(
        locked.has(path) ? siteRanks(found, path) : Array(8).fill(8),
      );
    expect(namedAllocation('mola-2468', options).experts[q0]).toBe(2);
    expect(() => namedAllocation('mola-8888', { ...options, maxExperts: 4 })).toThrow(
      /adapter\.experts/,
    );
  });

  test('fitting changes no locked linear and comes within half an expert of the number, whatever is locked', () => {
    const row = Math.max(...Object.values(dims).map((d) => d.inputs + d.outputs));
    const largest = 8 * row + 64; // of one expert
    const names = ['random', 'mola-2468', 'mola-8642', 'hilo'] as const;
    fc.assert(
      fc.property(
        fc.constantFrom(...names),
        fc.subarray(paths, { maxLength: 20 }),
        fc.subarray(paths, { maxLength: 5 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (name, lockedPaths, closed, share) => {
          const locked = new Set(lockedPaths);
          const start = closed.reduce(
            (a, path) => withCount(a, path, 0, limits),
            presetAllocation(name, options),
          );
          const free = paths.filter((path) => !locked.has(path) && start.experts[path] > 0);
          fc.pre(free.length > 0);
          const fixed = lockedPaths.reduce(
            (sum, path) =>
              sum + plain({ experts: { [path]: start.experts[path] }, ranks: start.ranks }),
            0,
          );
          const size = (path: string, count: number, rank: number) => {
            const { inputs, outputs } = dims[targetOf(path)];
            return count * (rank * (inputs + outputs) + inputs);
          };
          const least = fixed + free.reduce((sum, path) => sum + size(path, 1, 1), 0);
          const most = fixed + free.reduce((sum, path) => sum + size(path, 8, 8), 0);
          const wanted = Math.round(least + share * (most - least));
          const fitted = fitUnlocked(start, locked, moe(dims), wanted, limits);
          for (const path of locked)
            expect(siteRanks(fitted, path)).toEqual(siteRanks(start, path));
          for (const path of closed) expect(fitted.experts[path]).toBe(0);
          expect(parameterCount(fitted, moe(dims))).toBe(plain(fitted));
          expect(Math.abs(parameterCount(fitted, moe(dims)) - wanted)).toBeLessThanOrEqual(
            largest / 2,
          );
          expect(() => fitUnlocked(start, locked, moe(dims), most + 1, limits)).toThrow(
            `the total can be ${least} to ${most}`,
          );
          expect(() => fitUnlocked(start, locked, moe(dims), least - 1, limits)).toThrow(
            /cannot be reached/,
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  test('fitting with everything locked is refused', () => {
    expect(() => fitUnlocked(found, new Set(paths), moe(dims), 5000, limits)).toThrow(
      /Every open linear is locked/,
    );
  });
});
