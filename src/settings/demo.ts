// The built-in demo's presets.
import type { RunConfigInput } from './run-config.ts';

/**
 * Settings that take the demo model from a few to over nine held-out answers in ten, found by
 * measuring (docs/demo-base.md).
 */
export const DEMO_RUN: RunConfigInput = {
  seed: 1,
  data: { maxLength: 32, validation: 0.02 },
  adapter: { dropout: 0 },
  train: {
    steps: 160,
    batch: 8,
    microBatch: 8,
    learningRate: 5e-3,
    schedule: 'linear',
    warmupSteps: 10,
    evaluateEvery: 40,
  },
};

/** The demo with a search before the training. */
export const DEMO_SEARCH_RUN: RunConfigInput = {
  ...DEMO_RUN,
  search: {
    estimator: 'survival',
    sizes: 'sampled',
    steps: 100,
    batch: 8,
    microBatch: 8,
    learningRate: 5e-3,
    warmupSteps: 10,
    upperLearningRate: 0.1,
    budget: 0.1,
    closable: true,
  },
  train: { ...DEMO_RUN.train, learningRate: 1e-2 },
};
