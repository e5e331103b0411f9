// Which rows go into which batch, and how long a batch is (method, section 1 "Training, exactly").
import { InputError } from '../util/error.ts';
import { permutation } from '../util/random.ts';

/** Row numbers for training and for validation, each ascending. */
export interface Split {
  train: Int32Array<ArrayBuffer>;
  validation: Int32Array<ArrayBuffer>;
}

/**
 * Sets round(n·fraction) of n rows aside, at least 1 where fraction > 0 and n ≥ 2, and never all of them:
 * the last ones without shuffling, a seeded choice with it.
 */
export function splitValidation(n: number, fraction: number, shuffle: boolean, seed: number): Split {
  const wanted = fraction > 0 && n >= 2 ? Math.min(n - 1, Math.max(1, Math.round(n * fraction))) : 0;
  const order = shuffle ? permutation(n, seed, 'validation split') : Int32Array.from({ length: n }, (_, i) => i);
  return { train: order.slice(0, n - wanted).sort(), validation: order.slice(n - wanted).sort() };
}

/**
 * The order of training rows, a pure function of its arguments: `rows(step)` are the `batch` row numbers of optimizer step
 * `step` (0-based). Without shuffling the next rows in order, wrapping around; with it a new seeded permutation each epoch,
 * whose incomplete last batch is left out.
 */
export class BatchOrder {
  readonly #cached = { epoch: -1, order: new Int32Array(0) };

  constructor(
    readonly n: number,
    readonly batch: number,
    readonly shuffle: boolean,
    readonly seed: number,
  ) {
    if (n < 1) throw new InputError('bad-data', 'There are no rows to train on.');
    if (shuffle && n < batch) {
      throw new InputError('bad-data', `There are ${n} training rows, fewer than train.batch ${batch}: use a smaller batch or more rows.`);
    }
  }

  /** Batches of one epoch; a fraction where the rows wrap around. */
  get stepsPerEpoch(): number {
    return this.shuffle ? Math.floor(this.n / this.batch) : this.n / this.batch;
  }

  rows(step: number): Int32Array<ArrayBuffer> {
    if (!this.shuffle) return Int32Array.from({ length: this.batch }, (_, i) => (step * this.batch + i) % this.n);
    const epoch = Math.floor(step / this.stepsPerEpoch);
    if (this.#cached.epoch !== epoch) {
      this.#cached.epoch = epoch;
      this.#cached.order = permutation(this.n, this.seed, `training order of epoch ${epoch}`);
    }
    const start = (step % this.stepsPerEpoch) * this.batch;
    return this.#cached.order.slice(start, start + this.batch) as Int32Array<ArrayBuffer>;
  }
}

/** The sequence length that holds all these rows: the longest one, rounded up to 16. */
export function bucketLength(examples: Iterable<{ ids: { length: number } }>): number {
  let longest = 1;
  for (const { ids } of examples) longest = Math.max(longest, ids.length);
  return Math.ceil(longest / 16) * 16;
}
