// An allocation with its layers permuted: the same sizes in other places.
import {
  type Allocation,
  rankKey,
  sitePath,
  siteRanks,
  type Target,
} from '../../allocation/allocation.ts';
import { Random } from '../../util/random.ts';

/** A permutation of 0 … n−1 in one cycle (Sattolo), so that nothing stays in its place; n ≥ 2. */
export function cycle(n: number, seed: number): number[] {
  const random = new Random(seed, 'shuffled layers');
  const order = Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = random.int(i);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/**
 * Every layer gets another layer's experts and ranks, by the seed. The parameter count stays what
 * it is.
 */
export function shuffleLayers(
  allocation: Allocation,
  layers: number,
  targets: readonly Target[],
  seed: number,
): Allocation {
  const out: Allocation = { experts: {}, ranks: {} };
  cycle(layers, seed).forEach((from, to) => {
    for (const target of targets) {
      const path = sitePath(to, target);
      const ranks = siteRanks(allocation, sitePath(from, target));
      out.experts[path] = ranks.length;
      ranks.forEach((rank, i) => {
        out.ranks[rankKey(path, i)] = rank;
      });
    }
  });
  return out;
}
