// A search as it was recorded: the GSVs of every upper step, decoded into sizes and how sure they
// are when a step is looked at.
import { siteSize } from '../adapters/methods/methods.ts';
import { invariant } from '../util/error.ts';
import type { SearchReport, UpperSeries } from '../worker/protocol/api.ts';

/**
 * What the GSVs say after one upper step. Sites in the report's order; experts of a site side by
 * side, E_max of them.
 */
export interface SearchFrame {
  step: number;
  /** Upper loss (NaN at the start), λ, and E[params] as a share of the largest allocation. */
  loss: number;
  lambda: number;
  share: number;
  /** The size of each site, by selection (method §3): its experts, or its one rank; 0: closed. */
  sizes: Uint16Array;
  /** Open experts of each site. */
  counts: Uint16Array;
  /** Probability of the argmax of the GSV that each size comes from. */
  confidence: Float32Array;
  /** 1 where the size has not moved for the window. */
  settled: Uint8Array;
  /**
   * Rank of every expert, open or not. How sure each is: `distributions`, for the one site that is
   * looked at.
   */
  ranks: Uint16Array;
  totals: SearchTotals;
}

/** Sums over all sites. */
export interface SearchTotals {
  experts: number;
  /** Sites that are not closed. */
  open: number;
  /** Over open experts; 0 where none is open. */
  meanRank: number;
  /**
   * Σ over sites of Σ_i R_i (C + O) + E·C, and the same with E_max experts of R_max at every site.
   */
  parameters: number;
  uniform: number;
  settled: number;
}

/** One site over the recorded steps. */
export interface SiteHistory {
  step: number[];
  size: number[];
  confidence: number[];
}

interface Recorded {
  /** Steps recorded before it. */
  ordinal: number;
  step: number;
  loss: number;
  lambda: number;
  share: number;
  values: Float32Array;
}

const memoryCap = 64 * 2 ** 20;
const pointsAtMost = 400;

/** softmax of `length` values from `start`. */
export function distribution(
  values: ArrayLike<number>,
  start: number,
  length: number,
): Float64Array {
  const out = new Float64Array(length);
  const best = values[start + argmax(values, start, length)];
  let sum = 0;
  for (let k = 0; k < length; k++) sum += out[k] = Math.exp(values[start + k] - best);
  for (let k = 0; k < length; k++) out[k] /= sum;
  return out;
}

function argmax(values: ArrayLike<number>, start: number, length: number): number {
  let best = 0;
  for (let k = 1; k < length; k++) if (values[start + k] > values[start + best]) best = k;
  return best;
}

/** The largest probability of softmax: 1 / Σ exp(g_k − g_best). */
function peak(values: Float32Array, start: number, length: number, best: number): number {
  let sum = 0;
  for (let k = 0; k < length; k++) sum += Math.exp(values[start + k] - values[start + best]);
  return 1 / sum;
}

/** The last of `length` growing numbers that is not above `v`; −1 where all are. */
function lastUpTo(length: number, at: (i: number) => number, v: number): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at(middle) <= v) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/**
 * The whole search for heatmaps, inspector and scrubber, outside React. Recording copies a step's
 * values and notes which sizes moved; nothing is decoded until a step is looked at. Beyond `cap`
 * bytes every second recorded step is dropped (the start and the newest stay); changes of sizes are
 * kept of every step.
 */
export class SearchHistory {
  readonly report: SearchReport;
  /** Upper steps without a move until a size is settled: a tenth of the search, at least 10. */
  readonly window: number;
  /** The largest size of a site. */
  readonly most: number;
  /** Entries of the GSV of a site's size, and of all GSVs of a site. */
  readonly entries: number;
  readonly stride: number;
  readonly uniformParameters: number;
  /** Grows with every change, so that React can tell snapshots apart. */
  version = 0;
  #cap: number;
  #every = 1;
  #ordinal = 0;
  #frames: Recorded[] = [];
  /** Of each site: the steps at which its size changed, and the sizes from then on. */
  #moves: { steps: number[]; sizes: number[] }[];
  #listeners = new Set<() => void>();
  #latest: SearchFrame | null = null;

  constructor(report: SearchReport, cap = memoryCap) {
    const { sites, sizes, experts, rank, steps } = report;
    this.report = report;
    this.window = Math.max(10, Math.ceil(steps / 10));
    this.most = sizes === 'experts' ? experts : rank;
    this.entries = this.most + (report.closable ? 1 : 0);
    this.stride = this.entries + (sizes === 'experts' ? experts * rank : 0);
    this.uniformParameters = sites.reduce(
      (sum, _, s) => sum + this.#parameters(s, Array<number>(experts).fill(rank)),
      0,
    );
    this.#cap = cap;
    this.#moves = sites.map(() => ({ steps: [], sizes: [] }));
  }

  /** Number of stored frames; `every` is the current sampling interval. */
  get length(): number {
    return this.#frames.length;
  }
  get every(): number {
    return this.#every;
  }
  /** The newest step; −1 before the start has come. */
  get lastStep(): number {
    return this.#frames.at(-1)?.step ?? -1;
  }

  /** Appends upper steps; they must come in order. */
  append(series: UpperSeries): void {
    const size = this.stride * this.report.sites.length;
    invariant(
      series.values.length === size * series.step.length,
      'GSVs of another layout were appended to the search history',
    );
    for (let i = 0; i < series.step.length; i++) {
      const step = series.step[i];
      invariant(step > this.lastStep, `upper step ${step} came after step ${this.lastStep}`);
      const values = series.values.slice(i * size, (i + 1) * size);
      const newest = this.#frames.at(-1);
      if (newest && newest.ordinal % this.#every !== 0) this.#frames.pop();
      this.#frames.push({
        ordinal: this.#ordinal++,
        step,
        loss: series.loss[i],
        lambda: series.lambda[i],
        share: series.share[i],
        values,
      });
      this.#note(step, values);
    }
    while (this.#frames.length > 2 && this.#frames.length * size * 4 > this.#cap) this.#thin();
    this.version++;
    for (const listener of this.#listeners) listener();
  }

  #note(step: number, values: Float32Array): void {
    for (let s = 0; s < this.#moves.length; s++) {
      const { steps, sizes } = this.#moves[s];
      const size = this.#sizeAt(argmax(values, s * this.stride, this.entries));
      if (sizes.at(-1) === size) continue;
      steps.push(step);
      sizes.push(size);
    }
  }

  #thin(): void {
    this.#every *= 2;
    const last = this.#frames.length - 1;
    this.#frames = this.#frames.filter((f, i) => i === last || f.ordinal % this.#every === 0);
  }

  /** The size that an index of its GSV means. */
  #sizeAt(best: number): number {
    const { sizes, closable, topK } = this.report;
    if (closable) return best;
    return sizes === 'experts' ? Math.max(topK, best + 1) : best + 1;
  }

  /** Ranks of all experts of a site, open or not. */
  #ranks(values: Float32Array, site: number): number[] {
    const { sizes, experts, rank } = this.report;
    const start = site * this.stride;
    if (sizes === 'rank') return [this.#sizeAt(argmax(values, start, this.entries))];
    const first = start + this.entries;
    return Array.from({ length: experts }, (_, i) => argmax(values, first + i * rank, rank) + 1);
  }

  /** Calls `listener` after every change; returns how to stop it. */
  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /**
   * Place among the kept steps of the last one that is not after `step`; 0 before the first.
   * Nothing may be looked up before the start has come.
   */
  indexOf(step: number): number {
    return Math.max(
      0,
      lastUpTo(this.length, (i) => this.#frames[i].step, step),
    );
  }

  stepAt(index: number): number {
    return this.#frames[index].step;
  }

  /** All GSVs of one kept step, as in UpperSeries. */
  values(index: number): Float32Array {
    return this.#frames[index].values;
  }

  /** Decodes one kept step; null before the start has come. The newest is decoded once. */
  frame(index: number = this.length - 1): SearchFrame | null {
    const recorded = this.#frames[index];
    if (!recorded) return null;
    if (this.#latest?.step === recorded.step) return this.#latest;
    const frame = this.#decode(recorded);
    if (index === this.length - 1) this.#latest = frame;
    return frame;
  }

  #decode({ step, loss, lambda, share, values }: Recorded): SearchFrame {
    const { sites, sizes: kind, experts } = this.report;
    const n = sites.length;
    const sizes = new Uint16Array(n);
    const counts = kind === 'experts' ? sizes : new Uint16Array(n);
    const confidence = new Float32Array(n);
    const settled = new Uint8Array(n);
    const ranks = new Uint16Array(n * experts);
    const totals: SearchTotals = {
      experts: 0,
      open: 0,
      meanRank: 0,
      parameters: 0,
      uniform: this.uniformParameters,
      settled: 0,
    };
    let rankSum = 0;
    for (let s = 0; s < n; s++) {
      const start = s * this.stride;
      const best = argmax(values, start, this.entries);
      sizes[s] = this.#sizeAt(best);
      const count = kind === 'experts' ? sizes[s] : Math.min(1, sizes[s]);
      counts[s] = count;
      confidence[s] = peak(values, start, this.entries, best);
      settled[s] = this.isSettled(s, step) ? 1 : 0;
      ranks.set(this.#ranks(values, s), s * experts);
      const open = ranks.subarray(s * experts, s * experts + count);
      totals.experts += count;
      totals.open += Math.min(1, count);
      totals.parameters += this.#parameters(s, open);
      totals.settled += settled[s];
      rankSum += open.reduce((sum, r) => sum + r, 0);
    }
    totals.meanRank = totals.experts === 0 ? 0 : rankSum / totals.experts;
    return { step, loss, lambda, share, sizes, counts, confidence, settled, ranks, totals };
  }

  /**
   * Whether a site's size had not moved for the window when `step` was done. Known of every step,
   * kept or not.
   */
  isSettled(site: number, step: number): boolean {
    const { steps } = this.#moves[site];
    const last = lastUpTo(steps.length, (i) => steps[i], step);
    return last >= 0 && step - steps[last] >= this.window;
  }

  /**
   * The size that a site had before its present one when `step` was done, and since when; null
   * where it never moved.
   */
  moved(site: number, step: number): { was: number; since: number } | null {
    const { steps, sizes } = this.#moves[site];
    const last = lastUpTo(steps.length, (i) => steps[i], step);
    return last < 1 ? null : { was: sizes[last - 1], since: steps[last] };
  }

  /** Size and confidence of one site over the kept steps, thinned to some 400 points. */
  siteHistory(site: number): SiteHistory {
    const out: SiteHistory = { step: [], size: [], confidence: [] };
    const every = Math.max(1, Math.ceil(this.length / pointsAtMost));
    for (let i = 0; i < this.length; i++) {
      if (i % every !== 0 && i !== this.length - 1) continue;
      const { step, values } = this.#frames[i];
      const best = argmax(values, site * this.stride, this.entries);
      out.step.push(step);
      out.size.push(this.#sizeAt(best));
      out.confidence.push(peak(values, site * this.stride, this.entries, best));
    }
    return out;
  }

  /**
   * How probable each size of a site is at a kept step, and each rank of its experts (none where the
   * size is the rank).
   */
  distributions(index: number, site: number): { size: Float64Array; ranks: Float64Array[] } {
    const values = this.values(index);
    const { sizes, experts, rank } = this.report;
    const start = site * this.stride;
    return {
      size: distribution(values, start, this.entries),
      ranks: Array.from({ length: sizes === 'experts' ? experts : 0 }, (_, i) =>
        distribution(values, start + this.entries + i * rank, rank),
      ),
    };
  }

  /** Parameters of one site in a frame. */
  siteParameters(frame: SearchFrame, site: number): number {
    const first = site * this.report.experts;
    return this.#parameters(site, frame.ranks.subarray(first, first + frame.counts[site]));
  }

  #parameters(site: number, ranks: ArrayLike<number>): number {
    const { config, sites } = this.report;
    if (ranks.length === 0) return 0;
    return siteSize(config.adapter.method, { ...sites[site], ranks: Array.from(ranks) });
  }
}
