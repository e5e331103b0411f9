// The metrics of the current run as growing typed columns, outside React: charts and tables
// subscribe to it.
import type { StepSeries, UpperSeries } from '../worker/protocol/api.ts';

const names = ['step', 'loss', 'ce', 'balance', 'lr', 'gradNorm', 'tokens', 'seconds'] as const;

/** A column of numbers that grows; `view()` is what is filled. */
class Column {
  #data = new Float64Array(256);
  length = 0;

  append(values: ArrayLike<number>): void {
    const needed = this.length + values.length;
    if (needed > this.#data.length) {
      const grown = new Float64Array(2 ** Math.ceil(Math.log2(needed)));
      grown.set(this.view());
      this.#data = grown;
    }
    this.#data.set(values, this.length);
    this.length = needed;
  }

  view(): Float64Array {
    return this.#data.subarray(0, this.length);
  }
}

/** A validation loss after `step` updates. */
export interface ValidationPoint {
  step: number;
  loss: number;
}

/** Stages that have steps: lower updates of the search, and the training. */
type Stage = 'search' | 'train';
type Columns = Record<(typeof names)[number], Column>;

const emptyColumns = (): Columns =>
  Object.fromEntries(names.map((name) => [name, new Column()])) as Columns;

/** The series of one run. */
export class Series {
  #columns = { search: emptyColumns(), train: emptyColumns() };
  #upper = { step: new Column(), loss: new Column() };
  #validation: ValidationPoint[] = [];
  #listeners = new Set<() => void>();
  /** Grows with every change, so that React can tell snapshots apart. */
  version = 0;

  /** Steps of the training, or lower updates of the search. */
  length(stage: Stage): number {
    return this.#columns[stage].step.length;
  }

  /** The filled part of every column; valid until the next append. */
  steps(stage: Stage): StepSeries {
    return Object.fromEntries(
      names.map((name) => [name, this.#columns[stage][name].view()]),
    ) as unknown as StepSeries;
  }

  /** Upper losses of the search by upper step. */
  get upper(): Pick<UpperSeries, 'step' | 'loss'> {
    return { step: this.#upper.step.view(), loss: this.#upper.loss.view() };
  }

  get validation(): readonly ValidationPoint[] {
    return this.#validation;
  }

  append(stage: Stage, series: StepSeries): void {
    for (const name of names) this.#columns[stage][name].append(series[name]);
    this.#changed();
  }

  /** Upper steps; the start, which has no loss, is left out. */
  appendUpper({ step, loss }: UpperSeries): void {
    const from = step[0] === 0 ? 1 : 0;
    this.#upper.step.append(step.subarray(from));
    this.#upper.loss.append(loss.subarray(from));
    this.#changed();
  }

  addValidation(point: ValidationPoint): void {
    this.#validation = [...this.#validation, point];
    this.#changed();
  }

  clear(): void {
    this.#columns = { search: emptyColumns(), train: emptyColumns() };
    this.#upper = { step: new Column(), loss: new Column() };
    this.#validation = [];
    this.#changed();
  }

  /** Calls `listener` after every change; returns how to stop it. */
  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  #changed(): void {
    this.version++;
    for (const listener of this.#listeners) listener();
  }
}

/**
 * Exponential moving average with its start corrected for bias; `weight` 0 gives the values
 * themselves.
 */
export function smooth(values: ArrayLike<number>, weight: number): Float64Array {
  const out = new Float64Array(values.length);
  let sum = 0;
  let norm = 0;
  for (let i = 0; i < values.length; i++) {
    sum = sum * weight + values[i] * (1 - weight);
    norm = norm * weight + (1 - weight);
    out[i] = sum / norm;
  }
  return out;
}
