// A run in the worker: its events sent to the page, a person's review of what a search found, and
// what is kept for the export.
import { allocationLimits } from '../../adapters/methods/methods.ts';
import type { Allocation } from '../../allocation/allocation.ts';
import { allocationJson, parseAllocation } from '../../allocation/files.ts';
import { epochOf, filesOf } from '../../data/batching/split.ts';
import { gsvLine } from '../../files/search-files.ts';
import type { LoadedModel } from '../../model/load.ts';
import { resolveAllocation } from '../../settings/resolve-allocation.ts';
import { type RunConfig, trains } from '../../settings/run-config.ts';
import type { Row } from '../../train/batch.ts';
import { RunControl } from '../../train/control.ts';
import { type RunEvent, run } from '../../train/run.ts';
import { namedVectors } from '../../train/search/layout.ts';
import type { SearchStage } from '../../train/search/stage.ts';
import type { UpdateMetrics, UpperMetrics, ValidationMetrics } from '../../train/stage.ts';
import type { TrainingStage } from '../../train/training.ts';
import { InputError, problemOf } from '../../util/error.ts';
import type { ReviewReport, WorkerEvent } from '../protocol/api.ts';
import type { EventSender } from '../protocol/events.ts';
import { describeSearch, describeTraining } from './describe.ts';
import { Speed, timeLeft } from './speed.ts';

/** What a run works on, and whom it tells. */
export interface RunInput {
  model: LoadedModel;
  rows: readonly Row[];
  config: RunConfig;
  events: EventSender;
  /** Called when the run ends by an error. */
  fail(error: unknown): void;
}

/** Something that others wait for. */
class Signal {
  isDone = false;
  #resolve!: () => void;
  fail!: (error: unknown) => void;
  readonly promise = new Promise<void>((resolve, reject) => {
    this.#resolve = resolve;
    this.fail = reject;
  });

  done(): void {
    this.isDone = true;
    this.#resolve();
  }
}

/** A run; one of its stages at a time holds the device. */
export class Run {
  readonly metrics: (UpdateMetrics | ValidationMetrics)[] = [];
  /** The training, once it has begun. */
  stage: TrainingStage | null = null;
  /**
   * What was searched for and is trained with; null without a search, and until the review ends.
   */
  allocation: Allocation | null = null;
  /** Neither ended nor failed. */
  open = true;
  #history: { step: number; loss: number | null; values: Float32Array }[] = [];
  #vectors: readonly { name: string; count: number }[] = [];
  /** The answer to the review, while there is one. */
  #answer: ((allocation: Allocation | null) => void) | null = null;
  #broken = false;
  readonly #control = new RunControl();
  /** That the stage which is being prepared has begun. */
  #started = new Signal();
  /** That the run holds still: it has paused, is reviewed, or is over. */
  #still = new Signal();
  #speed = new Speed();
  #taskBegan: number | null = null;

  private constructor(private readonly input: RunInput) {}

  /**
   * Sets the first stage up and lets it go.
   * @throws InputError for settings or data that cannot be used
   */
  static async start(input: RunInput): Promise<Run> {
    const it = new Run(input);
    void it.#go();
    await it.#started.promise;
    return it;
  }

  get config(): RunConfig {
    return this.input.config;
  }

  /** True while the run leaves the device to others. */
  get idle(): boolean {
    return !this.open || this.#answer !== null || this.#control.paused;
  }

  /**
   * Optimizer steps applied to the adapter. After a failure this is the last step whose metrics
   * arrived.
   */
  get step(): number {
    const done = this.stage?.done ?? 0;
    if (!this.#broken) return done;
    const reported = this.metrics.findLast((m) => m.stage === 'train' && 'loss' in m);
    return Math.min(reported?.step ?? 0, done);
  }

  /** Row numbers of training and validation. */
  get split() {
    const { rows, config } = this.input;
    return epochOf(filesOf(rows), config.data, config.seed);
  }

  /** gsv.jsonl of the search; null without one. */
  get history(): string | null {
    if (this.#history.length === 0) return null;
    return this.#history
      .map(({ step, loss, values }) => `${gsvLine(this.#vectors, step, loss, values)}\n`)
      .join('');
  }

  /** Resolves once an idle run holds still, with the figures of every step done. */
  settled(): Promise<void> {
    return this.#still.promise;
  }

  /** Goes through the run; never rejects: what goes wrong once it has begun is an event. */
  async #go(): Promise<void> {
    const { model, rows, config, events, fail } = this.input;
    const review = (_: Allocation, error?: unknown) => this.#review(error);
    try {
      for await (const event of run({ model, rows, config, control: this.#control, review }))
        this.#on(event);
      if (this.open) this.#end(this.#control.stopped ? 'stopped' : 'finished');
    } catch (error) {
      if (this.#started.isDone) {
        this.#broken = true;
        fail(error);
        this.#end('failed');
      } else this.#started.fail(error);
    } finally {
      events.flush();
    }
  }

  #end(phase: 'finished' | 'stopped' | 'failed'): void {
    this.open = false;
    this.input.events.send({ type: 'phase', phase });
    this.#still.done();
  }

  #on(event: RunEvent): void {
    const { events } = this.input;
    switch (event.type) {
      case 'phase':
        events.send(event);
        if (event.phase === 'paused') this.#still.done();
        else if (this.#still.isDone) this.#still = new Signal();
        break;
      case 'progress': {
        const { task, done, total } = event;
        if (done === 0) this.#taskBegan = performance.now();
        const began = this.#taskBegan;
        const secondsLeft = began === null ? null : timeLeft(began, done, total);
        const unit = task === 'validating' ? 'rows' : 'kernels';
        events.send({ ...event, unit, secondsLeft });
        break;
      }
      case 'search-began':
        this.#vectors = namedVectors(event.stage.layout).upper;
        this.#begin({
          type: 'search-began',
          report: describeSearch(event.stage, this.split),
        });
        break;
      case 'training-began':
        this.stage = event.stage;
        this.#begin({
          type: 'training-began',
          report: describeTraining(event.stage, this.split),
        });
        break;
      case 'step': {
        const { metrics, total } = event;
        const { stage, grad_norm: gradNorm, ...figures } = metrics;
        this.metrics.push(metrics);
        events.step(stage, { ...figures, gradNorm }, total);
        if (stage === 'train') events.send({ type: 'speed', ...this.#speed.add(metrics, total) });
        break;
      }
      case 'upper':
        this.#onUpper(event.metrics, event.values, event.total);
        break;
      case 'routing':
        if (event.shares.length > 0) events.send(event);
        break;
      case 'validation': {
        const { step, validation_loss: loss } = event.metrics;
        this.metrics.push(event.metrics);
        events.send({ type: 'validation', step, loss });
        break;
      }
      case 'found':
        events.send({ type: 'review', report: this.#report(event.allocation, event.stage) });
    }
  }

  #begin(event: WorkerEvent): void {
    this.#speed = new Speed();
    this.#taskBegan = null;
    this.input.events.send(event);
    this.#started.done();
  }

  #onUpper(metrics: UpperMetrics | null, values: Float32Array, total: number): void {
    const { events } = this.input;
    const start = { step: 0, upper_loss: Number.NaN, lambda: 0, share: 0 };
    const { step, upper_loss: loss, lambda, share } = metrics ?? start;
    this.#history.push({ step, loss: metrics && loss, values });
    events.upper({ step, loss, lambda, share, values }, total);
    if (metrics)
      events.send({ type: 'speed', ...this.#speed.add({ ...metrics, tokens: 0 }, total) });
  }

  #report(found: Allocation, { done: step, steps }: SearchStage): ReviewReport {
    const report = { found, step, complete: step === steps, problem: null };
    try {
      return { ...report, found: resolveAllocation(this.config, this.input.model.config, found) };
    } catch (error) {
      return { ...report, problem: problemOf(error) };
    }
  }

  /** Waits for a person's answer. `error`: why no training could begin with the one before. */
  #review(error?: unknown): Promise<Allocation | null> {
    return new Promise((resolve) => {
      this.#answer = resolve;
      this.#still.done();
      this.input.events.send({ type: 'phase', phase: 'review' });
      this.input.events.flush();
      if (error) this.#started.fail(error);
    });
  }

  /** What answers the review. @throws InputError where there is none */
  #reviewed(): (allocation: Allocation | null) => void {
    if (this.#answer) return this.#answer;
    throw new InputError('bad-option', 'There is no search to review.');
  }

  /**
   * Ends the review and trains with exactly this allocation.
   * @throws InputError for one that does not fit, the review then goes on
   */
  async proceed(reviewed: Allocation): Promise<void> {
    const { config, model } = this.input;
    const answer = this.#reviewed();
    if (!trains(config))
      throw new InputError(
        'bad-config',
        'These settings end with the search: no training follows.',
      );
    const limits = allocationLimits(config.adapter, model.config.layers);
    const allocation = parseAllocation(allocationJson(limits.sizes, reviewed), limits);
    this.#answer = null;
    this.#started = new Signal();
    answer(allocation);
    await this.#started.promise;
    this.allocation = allocation;
  }

  /** Ends the review, and the run with it. */
  discard(): void {
    const answer = this.#reviewed();
    this.#answer = null;
    this.#end(trains(this.config) ? 'stopped' : 'finished');
    answer(null);
  }

  pause(): void {
    if (this.open && !this.#answer) this.#control.pause();
  }

  resume(): void {
    if (this.#control.paused) this.#still = new Signal();
    this.#control.resume();
  }

  /** Ends the stage after the current step. */
  stop(): void {
    if (this.#answer) this.discard();
    else this.#control.stop();
  }

  /** Frees the adapter; the run must have ended. */
  destroy(): void {
    this.stage?.layout.store.destroy();
    this.stage = null;
  }
}
