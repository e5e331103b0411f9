// Routing of the final training as it is now: each expert's share of the kept pairs, averaged over
// the latest batches.
import { invariant } from '../util/error.ts';

/**
 * Shares of kept (token, slot) pairs, experts end to end in the order of the sites; those of one
 * site sum to 1.
 */
export interface Routing {
  sites: readonly { path: string; experts: number }[];
  shares: Float32Array;
}

/** Batches that count as recent. */
const recent = 20;
/** An expert is dead below this part of an even share (1/E) over the recent batches. */
const deadBelow = 0.05;

/**
 * True for an expert that hardly any token is sent to: less than a twentieth of an even share.
 * Never of a lone expert.
 */
export const isDead = (share: number, experts: number): boolean =>
  experts > 1 && share < deadBelow / experts;

/**
 * A running mean of routing shares: plain over the first batches, then with the weight of a window
 * of twenty.
 */
export class RecentRouting implements Routing {
  readonly sites: readonly { path: string; experts: number }[];
  readonly shares: Float32Array;
  /** Batches seen; grows with every change. */
  batches = 0;

  constructor(sites: readonly { path: string; experts: number }[]) {
    this.sites = sites;
    this.shares = new Float32Array(sites.reduce((sum, site) => sum + site.experts, 0));
  }

  /** Folds in the shares of one more batch. */
  append(shares: ArrayLike<number>): void {
    invariant(
      shares.length === this.shares.length,
      'routing shares of another allocation were appended',
    );
    this.batches++;
    const weight = 1 / Math.min(this.batches, recent);
    for (let i = 0; i < shares.length; i++) this.shares[i] += weight * (shares[i] - this.shares[i]);
  }
}
