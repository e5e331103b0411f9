// Ends the benchmark; what was measured until then stays.
import { isMeasuring } from '../../state/benchmark.ts';
import type { Command } from '../shared/command.ts';

export const cancelBenchmark: Command = {
  id: 'cancel-benchmark',
  group: 'Page',
  label: ({ benchmark }) =>
    benchmark.status === 'cancelling' ? 'Cancelling …' : 'Cancel the benchmark',
  shortcut: null,
  isVisible: ({ benchmark }) => isMeasuring(benchmark),
  why: ({ benchmark }) =>
    benchmark.status === 'cancelling' ? 'The benchmark is being cancelled: wait a moment.' : null,
  run: ({ actions }) => actions.cancelBenchmark(),
};
