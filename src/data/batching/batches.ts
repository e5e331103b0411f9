// Which rows go into which batch, and how long a batch is (method, section 1 "Training, exactly").
import { InputError } from '../../util/error.ts';
import { permutation } from '../../util/random.ts';

/**
 * The order of training rows, a pure function of its arguments: `rows(step)` are the `batch` row
 * numbers of optimizer step `step` (0-based). Without shuffling the next rows in order, wrapping
 * around; with it a new seeded permutation each epoch, whose incomplete last batch is left out.
 */
export class BatchOrder {
  readonly #cached = { epoch: -1, order: new Int32Array(0) };

  constructor(
    readonly n: number,
    readonly batch: number,
    readonly shuffle: boolean,
    readonly seed: number,
    /** Whose order: its shuffling, and the setting that errors name. */
    private readonly of: 'training' | 'lower level' | 'upper level' = 'training',
  ) {
    if (n < 1) throw new InputError('bad-data', 'There are no rows to train on.');
    if (shuffle && n < batch) {
      throw new InputError(
        'bad-data',
        `There are ${n} ${of} rows, fewer than ${of === 'training' ? 'train.batch' : 'search.microBatch'} ${batch}: use a smaller batch or more rows.`,
      );
    }
  }

  /** Batches of one epoch; a fraction where the rows wrap around. */
  get stepsPerEpoch(): number {
    return this.shuffle ? Math.floor(this.n / this.batch) : this.n / this.batch;
  }

  rows(step: number): Int32Array<ArrayBuffer> {
    if (!this.shuffle)
      return Int32Array.from({ length: this.batch }, (_, i) => (step * this.batch + i) % this.n);
    const epoch = Math.floor(step / this.stepsPerEpoch);
    if (this.#cached.epoch !== epoch) {
      this.#cached.epoch = epoch;
      this.#cached.order = permutation(this.n, this.seed, `${this.of} order of epoch ${epoch}`);
    }
    const start = (step % this.stepsPerEpoch) * this.batch;
    return this.#cached.order.slice(start, start + this.batch) as Int32Array<ArrayBuffer>;
  }
}

/** The sequence length that holds all these rows: the longest one, rounded up to 8. */
export function bucketLength(examples: Iterable<{ ids: { length: number } }>): number {
  let longest = 1;
  for (const { ids } of examples) longest = Math.max(longest, ids.length);
  return Math.ceil(longest / 8) * 8;
}

/**
 * Splits a step's rows into micro-batches.
 * @param lengthOf a row's tokens, if rows may move between micro-batches: the longest go first, each
 *   to the micro-batch with the fewest tokens so far. Null keeps their order and equal counts
 */
export function microBatches(
  rows: readonly number[],
  parts: number,
  lengthOf: ((row: number) => number) | null,
): number[][] {
  const size = rows.length / parts;
  if (!lengthOf)
    return Array.from({ length: parts }, (_, i) => rows.slice(i * size, (i + 1) * size));
  const batches = Array.from({ length: parts }, (): number[] => []);
  const tokens = new Array<number>(parts).fill(0);
  for (const row of rows.toSorted((a, b) => lengthOf(b) - lengthOf(a) || a - b)) {
    const least = tokens.indexOf(Math.min(...tokens));
    batches[least].push(row);
    tokens[least] += lengthOf(row);
  }
  return batches;
}

/**
 * Chooses sequence lengths for micro-batches with these token counts; each micro-batch uses the
 * smallest length that holds it. At most 3 lengths, placed to minimise padding, or fewer if padding
 * stays below 5 %. Ascending multiples of 8.
 */
export function fewSizes(tokens: readonly number[]): number[] {
  const largest = tokens.reduce((a, b) => Math.max(a, b), 1);
  const unit = 8 * Math.ceil(largest / (8 * 256)); // so many different sizes at most
  const counts = new Map<number, number>();
  let real = 0;
  for (const n of tokens) {
    const size = Math.ceil(Math.max(1, n) / unit) * unit;
    counts.set(size, (counts.get(size) ?? 0) + 1);
    real += n;
  }
  const sizes = [...counts.keys()].sort((a, b) => a - b);
  const before = [0];
  for (const size of sizes) before.push(before[before.length - 1] + counts.get(size)!);
  // least[i]: the lowest cost of covering sizes[0] to sizes[i], and the lengths chosen for it.
  let least = sizes.map((size, i) => ({ cost: size * before[i + 1], chosen: [size] }));
  for (let count = 1; count < 3; count++) {
    const best = least[least.length - 1];
    if (!best || best.cost <= 1.05 * real) break;
    least = sizes.map((size, i) =>
      least.slice(0, i).reduce((found, { cost, chosen }, j) => {
        const all = cost + size * (before[i + 1] - before[j + 1]);
        return all < found.cost ? { cost: all, chosen: [...chosen, size] } : found;
      }, least[i]),
    );
  }
  return least.at(-1)?.chosen ?? [8];
}

/** The rows of a pair of micro-batches of the search, by their numbers in their levels. */
export interface Pair {
  b1: Int32Array<ArrayBuffer>;
  b2: Int32Array<ArrayBuffer>;
}

/**
 * The order of a search's pairs over so many rows of its two levels (method §3, `levelsOf`), a pure
 * function of its arguments. `disjoint`: b1 from the lower level's rows, b2 from the upper one's,
 * without shuffling in order, wrapping around. `paired`: both from the lower one's, micro-batches
 * 2t and 2t + 1 of each epoch's order; a last odd one serves as both. Returns the rows of pair t,
 * from 0. @throws InputError where the rows do not fill a micro-batch
 */
export function searchPairs(
  counts: Record<'lower' | 'upper', number>,
  size: number,
  split: 'disjoint' | 'paired',
  shuffle: boolean,
  seed: number,
): (t: number) => Pair {
  const lower = new BatchOrder(counts.lower, size, shuffle, seed, 'lower level');
  if (split === 'paired') {
    const batches = Math.max(1, Math.floor(counts.lower / size));
    const pairs = Math.ceil(batches / 2);
    return (t) => {
      const first = Math.floor(t / pairs) * batches;
      const at = 2 * (t % pairs);
      return { b1: lower.rows(first + at), b2: lower.rows(first + Math.min(at + 1, batches - 1)) };
    };
  }
  const upper = new BatchOrder(counts.upper, size, shuffle, seed, 'upper level');
  return (t) => ({ b1: lower.rows(t), b2: upper.rows(t) });
}
