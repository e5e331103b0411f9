// Measures how fast the device is, as `bench` of the command line does.
import { isMeasuring } from '../../state/benchmark.ts';
import { noBenchmark } from '../../state/obstacles.ts';
import type { Command } from '../shared/command.ts';

export const runBenchmark: Command = {
  id: 'run-benchmark',
  group: 'Page',
  label: () => 'Benchmark',
  shortcut: null,
  isVisible: ({ benchmark }) => !isMeasuring(benchmark),
  why: noBenchmark,
  run: ({ actions }) => actions.benchmark(),
};
