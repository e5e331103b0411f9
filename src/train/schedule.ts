// How long a run is, and its learning rate at every step (method, section 1 "Training, exactly").
import type { TrainSettings } from '../settings/run-config.ts';

type Schedule = Pick<TrainSettings, 'learningRate' | 'schedule' | 'warmupSteps'>;

/**
 * The learning rate of the update that follows `step` updates done (0 at the first one), of `total`
 * in all: lr·s/W while s < W (so 0 at the first when there is a warm-up), then linear or cosine
 * down to 0 at s = S, or constant.
 */
export function learningRate(config: Schedule, step: number, total: number): number {
  const { learningRate: lr, schedule, warmupSteps } = config;
  if (step < warmupSteps) return (lr * step) / warmupSteps;
  const span = total - warmupSteps;
  if (schedule === 'linear') return (lr * (total - step)) / span;
  if (schedule === 'cosine')
    return (lr * (1 + Math.cos((Math.PI * (step - warmupSteps)) / span))) / 2;
  return lr;
}

/**
 * Optimizer steps of a run over `rows` training rows: `steps`, or what `epochs` passes come to. An
 * incomplete last batch is left out, at the end of every epoch when shuffled, at the end of the run
 * when not (it wraps around until then). At least 1.
 */
export function totalSteps(
  train: Pick<TrainSettings, 'steps' | 'epochs' | 'batch'>,
  shuffle: boolean,
  rows: number,
): number {
  if (train.epochs === null) return train.steps;
  const perEpoch = shuffle ? Math.floor(rows / train.batch) : rows / train.batch;
  return Math.max(1, Math.floor(train.epochs * perEpoch + 1e-9));
}
