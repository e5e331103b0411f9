// Measuring the device: how far it is, and what was measured last.
import type { BenchmarkProgress, BenchmarkReport } from '../worker/protocol/benchmark.ts';

export interface BenchmarkState {
  /** Cancelling ends with what was measured until then. */
  status: 'none' | 'running' | 'cancelling' | 'done' | 'failed';
  progress: BenchmarkProgress | null;
  report: BenchmarkReport | null;
  /** Why nothing was measured. */
  message: string;
  /** Only cases with this in their names; empty: those that are measured by default. */
  named: string;
}

export type BenchmarkEvent =
  | BenchmarkProgress
  | { type: 'benchmark-began' }
  | { type: 'benchmark-cancelling' }
  | { type: 'benchmark-done'; report: BenchmarkReport }
  | { type: 'benchmark-failed'; message: string }
  | { type: 'benchmark-closed' }
  | { type: 'benchmark-named'; named: string };

export const noBenchmark: BenchmarkState = {
  status: 'none',
  progress: null,
  report: null,
  message: '',
  named: '',
};

export const isMeasuring = ({ status }: BenchmarkState): boolean =>
  status === 'running' || status === 'cancelling';

/** How it ended. */
export const sayBenchmark = ({ measured, cases, problem }: BenchmarkReport): string =>
  measured === cases
    ? `The benchmark is done: ${cases} ${cases === 1 ? 'case' : 'cases'} measured.`
    : `The benchmark was ${problem ? 'ended by an error' : 'cancelled'}: ${measured} of ${cases} cases measured.`;

/** The next state; the same one where an event has nothing to do with it. */
export function reduceBenchmark(
  before: BenchmarkState,
  event: { type: string } | BenchmarkEvent,
): BenchmarkState {
  const e = event as BenchmarkEvent;
  switch (e.type) {
    case 'benchmark-began':
      return { ...noBenchmark, named: before.named, status: 'running' };
    case 'measuring':
      return isMeasuring(before) ? { ...before, progress: e } : before;
    case 'benchmark-cancelling':
      return { ...before, status: 'cancelling' };
    case 'benchmark-done':
      return { ...before, status: 'done', progress: null, report: e.report };
    case 'benchmark-failed':
      return { ...before, status: 'failed', progress: null, message: e.message };
    case 'benchmark-closed':
      return { ...noBenchmark, named: before.named };
    case 'benchmark-named':
      return { ...before, named: e.named };
    default:
      return before;
  }
}
