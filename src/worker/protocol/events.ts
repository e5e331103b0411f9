// Events on their way to the page: gathered, and sent at most ten times a second.
import type { StepSeries, UpperSeries, WorkerEvent } from './api.ts';

const interval = 100;
const names = ['step', 'loss', 'ce', 'balance', 'lr', 'gradNorm', 'tokens', 'seconds'] as const;

/** One step's figures, in the order of StepSeries. */
export type StepFigures = Record<(typeof names)[number], number>;

/** One upper step's figures, and all GSVs after it. */
export interface UpperFigures {
  step: number;
  loss: number;
  lambda: number;
  share: number;
  values: Float32Array;
}

type Stage = 'search' | 'train';

/** Events that replace an earlier one of their kind which has not been sent yet. */
const replaces = (a: WorkerEvent, b: WorkerEvent): boolean =>
  a.type === b.type &&
  (a.type === 'speed' ||
    a.type === 'routing' ||
    a.type === 'measuring' ||
    (a.type === 'progress' && b.type === 'progress' && a.task === b.task) ||
    (a.type === 'answer' && b.type === 'answer' && a.which === b.which && a.id === b.id));

const column = <T>(rows: readonly T[], value: (row: T) => number): Float64Array =>
  Float64Array.from(rows, value);

/**
 * Sends batches of events with `post`; `transfer` are buffers that the page may have as they are.
 */
export class EventSender {
  #queue: WorkerEvent[] = [];
  #steps: StepFigures[] = [];
  #stage: Stage = 'train';
  #upper: UpperFigures[] = [];
  #total = { steps: 0, upper: 0 };
  #timer: ReturnType<typeof setTimeout> | null = null;
  #last = Number.NEGATIVE_INFINITY;

  constructor(private readonly post: (events: WorkerEvent[], transfer: ArrayBuffer[]) => void) {}

  send(event: WorkerEvent): void {
    // those two may overtake steps
    if (event.type !== 'speed' && event.type !== 'routing') this.#close();
    const at = this.#queue.findLastIndex((e) => replaces(e, event));
    if (at >= 0) this.#queue.splice(at, 1);
    this.#queue.push(event);
    this.#schedule();
  }

  step(stage: Stage, figures: StepFigures, total: number): void {
    if (stage !== this.#stage) this.#close();
    this.#stage = stage;
    this.#steps.push(figures);
    this.#total.steps = total;
    this.#schedule();
  }

  upper(figures: UpperFigures, total: number): void {
    this.#upper.push(figures);
    this.#total.upper = total;
    this.#schedule();
  }

  /** Sends what has gathered. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#close();
    if (this.#queue.length === 0) return;
    this.#last = performance.now();
    this.post(
      this.#queue,
      this.#queue.flatMap((e) => (e.type === 'upper' ? [e.series.values.buffer] : [])),
    );
    this.#queue = [];
  }

  /** Turns the steps that have gathered into events, so that others come after them. */
  #close(): void {
    if (this.#steps.length > 0) {
      const series = Object.fromEntries(
        names.map((name) => [name, column(this.#steps, (s) => s[name])]),
      ) as unknown as StepSeries;
      this.#queue.push({ type: 'steps', stage: this.#stage, series, total: this.#total.steps });
      this.#steps = [];
    }
    if (this.#upper.length > 0) {
      this.#queue.push({ type: 'upper', series: together(this.#upper), total: this.#total.upper });
      this.#upper = [];
    }
  }

  #schedule(): void {
    this.#timer ??= setTimeout(
      () => this.flush(),
      Math.max(0, this.#last + interval - performance.now()),
    );
  }
}

function together(rows: readonly UpperFigures[]): UpperSeries {
  const size = rows[0].values.length;
  const values = new Float32Array(rows.length * size);
  rows.forEach((row, i) => values.set(row.values, i * size));
  return {
    step: column(rows, (r) => r.step),
    loss: column(rows, (r) => r.loss),
    lambda: column(rows, (r) => r.lambda),
    share: column(rows, (r) => r.share),
    values,
  };
}
