// Events on their way to the page: gathered, and sent at most ten times a second.
import type { StepSeries, WorkerEvent } from './api.ts';

const interval = 100;
const names = ['step', 'loss', 'ce', 'balance', 'lr', 'gradNorm', 'tokens', 'seconds'] as const;

/** One step's figures, in the order of StepSeries. */
export type StepFigures = Record<(typeof names)[number], number>;

/** Events that replace an earlier one of their kind which has not been sent yet. */
const replaces = (a: WorkerEvent, b: WorkerEvent): boolean =>
  a.type === b.type &&
  (a.type === 'progress' || a.type === 'speed' || (a.type === 'answer' && b.type === 'answer' && a.which === b.which && a.id === b.id));

/** Sends batches of events with `post`. */
export class EventSender {
  #queue: WorkerEvent[] = [];
  #steps: StepFigures[] = [];
  #total = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #last = Number.NEGATIVE_INFINITY;

  constructor(private readonly post: (events: WorkerEvent[]) => void) {}

  send(event: WorkerEvent): void {
    this.#closeSteps();
    const at = this.#queue.findLastIndex((e) => replaces(e, event));
    if (at >= 0) this.#queue.splice(at, 1);
    this.#queue.push(event);
    this.#schedule();
  }

  step(figures: StepFigures, total: number): void {
    this.#steps.push(figures);
    this.#total = total;
    this.#schedule();
  }

  /** Sends what has gathered. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#closeSteps();
    if (this.#queue.length === 0) return;
    this.#last = performance.now();
    this.post(this.#queue);
    this.#queue = [];
  }

  #closeSteps(): void {
    if (this.#steps.length === 0) return;
    const column = (name: (typeof names)[number]) => Float64Array.from(this.#steps, (s) => s[name]);
    const series = Object.fromEntries(names.map((name) => [name, column(name)])) as unknown as StepSeries;
    this.#queue.push({ type: 'steps', series, total: this.#total });
    this.#steps = [];
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => this.flush(), Math.max(0, this.#last + interval - performance.now()));
  }
}
