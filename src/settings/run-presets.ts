// Settings by name, for people who would rather not choose each one.
import type { RunConfigInput } from './run-config.ts';

/** A named set of settings: what a run begins with, seed and data apart. */
export interface RunPreset {
  title: string;
  about: string;
  settings: Pick<RunConfigInput, 'adapter' | 'search' | 'train'>;
  /**
   * Passes over the rows that the search is to make; search.steps then follows from their number
   * (`searchSteps`).
   */
  searchEpochs?: number;
}

export const RUN_PRESETS = {
  quick: {
    title: 'Quick look',
    about: 'A short search and short training, for a first look.',
    settings: {
      search: {
        steps: 60,
        batch: 8,
        microBatch: 8,
        learningRate: 1e-3,
        warmupSteps: 5,
        upperLearningRate: 0.1,
        budget: 0.25,
        sizes: 'sampled',
        closable: true,
      },
      train: {
        steps: 60,
        batch: 8,
        microBatch: 8,
        learningRate: 1e-3,
        warmupSteps: 5,
        evaluateEvery: 20,
      },
    },
  },
  balanced: {
    title: 'Balanced',
    about: 'A first-order search with a budget, then training of medium length.',
    settings: {
      search: {
        steps: 200,
        batch: 16,
        microBatch: 8,
        warmupSteps: 10,
        upperLearningRate: 0.05,
        budget: 0.25,
        sizes: 'sampled',
        closable: true,
      },
      train: { steps: 300, batch: 16, microBatch: 8, warmupSteps: 15, evaluateEvery: 50 },
    },
  },
  thorough: {
    title: 'Thorough',
    about: 'A long second-order search with sampled sizes, then long training.',
    settings: {
      search: {
        order: 'second-order',
        sizes: 'sampled',
        steps: 600,
        batch: 32,
        microBatch: 8,
        warmupSteps: 20,
        upperLearningRate: 0.03,
        budget: 0.25,
        closable: true,
      },
      train: { steps: 1000, batch: 32, microBatch: 8, warmupSteps: 50, evaluateEvery: 100 },
    },
  },
  paper: {
    title: 'GuiLoMo paper',
    about:
      'The paper’s settings: its estimator, second order, 4 epochs of search and 20 of training.',
    settings: {
      adapter: { experts: 8, rank: 8, topK: 2, alpha: 16, dropout: 0.05, balance: 0.001 },
      search: {
        estimator: 'paper',
        order: 'second-order',
        batch: 64,
        microBatch: 16,
        learningRate: 3e-4,
        upperLearningRate: 3e-3,
      },
      train: { epochs: 20, batch: 64, microBatch: 16, learningRate: 3e-4 },
    },
    searchEpochs: 4,
  },
  lora: {
    title: 'Plain LoRA',
    about: 'One pair of matrices in every linear, no search.',
    settings: {
      adapter: { method: 'lora', rank: 8 },
      search: false,
      train: { steps: 300, batch: 16, microBatch: 8, warmupSteps: 15, evaluateEvery: 50 },
    },
  },
} satisfies Record<string, RunPreset>;

export type RunPresetName = keyof typeof RUN_PRESETS;

/** Upper steps of `epochs` passes over `rows` rows: each takes two micro-batches. */
export const searchSteps = (epochs: number, rows: number, microBatch: number): number =>
  Math.max(1, Math.round((epochs * rows) / (2 * microBatch)));
