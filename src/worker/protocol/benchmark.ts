// What the page and the trainer worker say about measuring the device. Types only.
import type { Figures } from '../../bench/table.ts';

/** A line of the table; null where a case has no such figure. */
export type BenchmarkRow = Figures;

/** What was measured. */
export interface BenchmarkReport {
  device: string;
  browser: string;
  clock: string;
  rows: BenchmarkRow[];
  /** As the command line prints it, and as its --json does. */
  text: string;
  json: string;
  /** Cases that were measured, and those that were to be. */
  measured: number;
  cases: number;
  /** Why one could not be measured, where that ended it. */
  problem: string | null;
}

/** A case that is about to be measured. */
export interface BenchmarkProgress {
  type: 'measuring';
  name: string;
  done: number;
  total: number;
  secondsLeft: number | null;
}

export interface BenchmarkApi {
  /**
   * Measures on a device of its own, which is gone afterwards: the cases with `named` in their
   * names, or without it those that are measured by default. Ends early where it is cancelled or a
   * case fails, with what was measured until then.
   */
  benchmark(named: string): Promise<BenchmarkReport>;
  /**
   * Ends it before the next replay or step, since what was submitted runs to its end. The case at
   * hand is dropped.
   */
  cancelBenchmark(): void;
}
