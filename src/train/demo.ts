// The built-in demo's preset, found by measuring (docs/demo-base.md).
import type { RunConfigInput } from './config.ts';

/** Settings that take the demo model from a few to over nine held-out answers in ten. */
export const DEMO_RUN: RunConfigInput = {
  seed: 1,
  data: { maxLength: 32, validation: 0.02 },
  adapter: { dropout: 0 },
  train: { steps: 160, batch: 8, microBatch: 8, learningRate: 5e-3, schedule: 'linear', warmupSteps: 10, evaluateEvery: 40 },
};
