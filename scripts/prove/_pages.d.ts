// What the pages of these measurements offer to the scripts that drive them.
import type { StepResult } from '../../src/bench/step.ts';
import type { Task } from './_smollm2-run.mjs';

/** Milliseconds of each round. */
export interface Times {
  ours: number[];
  jax: number[];
  tfjs: number[];
}

declare global {
  var compareProducts: (
    rounds: number,
  ) => Promise<{ device: string; kernels: Readonly<Record<string, string>>; times: Times }>;
  var trainingSteps: (
    layers: number,
    tokens: number,
    repeats: number,
  ) => Promise<{ steps: StepResult[]; best: { milliseconds: number; gflops: number } }>;
  var harness: {
    send(count: number): void;
    every(milliseconds: number): void;
    steps(): number;
  };
  var figures: (task: Task) => Promise<{ passed: boolean }>;
  var ready: boolean;
}
