// One run, from its settings to the adapter: a search and the review of what it found, where there
// is one, and the training.
import { type Allocation, parseAllocation } from '../../allocation/allocation.ts';
import { epochOf, filesOf } from '../../data/batching/split.ts';
import { gsvLine } from '../../files/search-files.ts';
import type { LoadedModel } from '../../model/load.ts';
import { resolveAllocation } from '../../settings/resolve-allocation.ts';
import {
  type RunConfig,
  type SearchConfig,
  searches,
  type TrainingConfig,
  trains,
} from '../../settings/run-config.ts';
import type { Row } from '../../train/batch.ts';
import { RunControl } from '../../train/control.ts';
import { namedVectors } from '../../train/search/layout.ts';
import { type LowerMetrics, SearchSession } from '../../train/search/session.ts';
import { Session, type StepMetrics, type ValidationMetrics } from '../../train/session.ts';
import { InputError, isInputError } from '../../util/error.ts';
import type { ReviewReport } from '../protocol/api.ts';
import type { EventSender } from '../protocol/events.ts';
import { describeSearch, describeTraining } from './describe.ts';
import { Speed, timeLeft } from './speed.ts';

/** What a run works on, and whom it tells. */
export interface RunInput {
  model: LoadedModel;
  rows: readonly Row[];
  config: RunConfig;
  events: EventSender;
  /** Told of what ends the run, other than a person. */
  fail(error: unknown): void;
}

/** A run; one of its stages at a time holds the device. */
export class Run {
  readonly metrics: (LowerMetrics | StepMetrics | ValidationMetrics)[] = [];
  /** The training, once it has begun. */
  session: Session | null = null;
  /**
   * What was searched for and is trained with; null without a search, and until the review ends.
   */
  allocation: Allocation | null = null;
  /** Neither ended nor failed. */
  open = true;
  #history: { step: number; loss: number | null; values: Float32Array }[] = [];
  #vectors: readonly { name: string; count: number }[] = [];
  #reviewing = false;
  #broken = false;
  #control = new RunControl();

  private constructor(private readonly input: RunInput) {}

  /**
   * Sets the first stage up and lets it go.
   * @throws InputError for settings or data that cannot be used
   */
  static async start(input: RunInput): Promise<Run> {
    const run = new Run(input);
    const { config } = input;
    if (searches(config)) await run.#beginSearch(config);
    else if (trains(config)) await run.#beginTraining(config);
    return run;
  }

  get config(): RunConfig {
    return this.input.config;
  }

  /** True while the run leaves the device to others. */
  get idle(): boolean {
    return !this.open || this.#reviewing || this.#control.paused;
  }

  /** Steps of the training whose figures have come. */
  get figures(): number {
    return this.metrics.filter((m) => m.stage === 'train' && 'loss' in m).length;
  }

  /**
   * Optimizer steps that the adapter has seen; a run that failed stopped updating it at the first
   * step without figures.
   */
  get step(): number {
    const done = this.session?.done ?? 0;
    return this.#broken ? Math.min(this.figures, done) : done;
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

  async #beginSearch(config: SearchConfig): Promise<void> {
    const { model, rows, events } = this.input;
    const speed = new Speed();
    events.send({ type: 'phase', phase: 'compiling' });
    const search = await SearchSession.create({
      model,
      rows,
      config,
      control: this.#control,
      hooks: {
        onPhase: (phase) => events.send({ type: 'phase', phase }),
        onProgress: progressOf(events),
        onLower: (m, total) => {
          this.metrics.push(m);
          events.step('search', figuresOf(m), total);
        },
        onUpper: (m, values, total) => {
          const loss = m?.upper_loss ?? null;
          this.#history.push({ step: m?.step ?? 0, loss, values });
          events.upper(
            {
              step: m?.step ?? 0,
              loss: loss ?? Number.NaN,
              lambda: m?.lambda ?? 0,
              share: m?.share ?? 0,
              values,
            },
            total,
          );
          if (m) events.send({ type: 'speed', ...speed.add({ ...m, tokens: 0 }, total) });
        },
      },
    });
    this.#vectors = namedVectors(search.layout).upper;
    events.send({ type: 'search-began', report: describeSearch(config, search, this.split) });
    void this.#goSearch(config, search);
  }

  /** Goes through the search, to its review; never rejects: what goes wrong is an event. */
  async #goSearch(config: SearchConfig, search: SearchSession): Promise<void> {
    const { events } = this.input;
    try {
      await search.run();
      const report = this.#review(config, await search.selection(), search.done, search.steps);
      this.#reviewing = true;
      events.send({ type: 'review', report });
      events.send({ type: 'phase', phase: 'review' });
    } catch (error) {
      this.#failed(error);
    } finally {
      search.destroy();
      events.flush();
    }
  }

  #review(config: SearchConfig, found: Allocation, step: number, steps: number): ReviewReport {
    const report = { found, step, complete: step === steps, problem: null };
    try {
      return { ...report, found: resolveAllocation(config, this.input.model.config, found) };
    } catch (error) {
      if (isInputError(error)) return { ...report, problem: error.message };
      throw error;
    }
  }

  /**
   * Ends the review and trains with exactly this allocation.
   * @throws InputError for one that does not fit, the review then goes on
   */
  async proceed({ experts, ranks }: Allocation): Promise<void> {
    const { config, model } = this.input;
    if (!this.#reviewing) throw new InputError('bad-option', 'There is no search to review.');
    if (!trains(config))
      throw new InputError(
        'bad-config',
        'These settings end with the search: no training follows.',
      );
    const { targets, experts: maxExperts, rank: maxRank } = config.adapter;
    const allocation = parseAllocation(experts, ranks, {
      layers: model.config.layers,
      targets,
      maxExperts,
      maxRank,
    });
    this.#control = new RunControl();
    this.#reviewing = false;
    try {
      await this.#beginTraining(config, allocation);
    } catch (error) {
      this.#reviewing = true;
      this.input.events.send({ type: 'phase', phase: 'review' });
      throw error;
    }
    this.allocation = allocation;
  }

  async #beginTraining(config: TrainingConfig, allocation?: Allocation): Promise<void> {
    const { model, rows, events } = this.input;
    const speed = new Speed();
    events.send({ type: 'phase', phase: 'compiling' });
    const session = await Session.create({
      model,
      rows,
      config,
      allocation,
      control: this.#control,
      hooks: {
        onPhase: (phase) => events.send({ type: 'phase', phase }),
        onProgress: progressOf(events),
        onStep: (m, total) => {
          this.metrics.push(m);
          events.step('train', figuresOf(m), total);
          events.send({ type: 'speed', ...speed.add(m, total) });
        },
        onValidation: (m) => {
          this.metrics.push(m);
          events.send({ type: 'validation', step: m.step, loss: m.validation_loss });
        },
        onRouting: (shares) => {
          if (shares.length > 0) events.send({ type: 'routing', shares });
        },
      },
    });
    this.session = session;
    events.send({ type: 'training-began', report: describeTraining(config, session, this.split) });
    void this.#goTraining(session);
  }

  /** Goes through the training; never rejects: what goes wrong is an event. */
  async #goTraining(session: Session): Promise<void> {
    const { events } = this.input;
    try {
      await session.run();
      this.open = false;
      events.send({ type: 'phase', phase: this.#control.stopped ? 'stopped' : 'finished' });
    } catch (error) {
      this.#failed(error);
    } finally {
      session.destroy(true);
      events.flush();
    }
  }

  #failed(error: unknown): void {
    this.open = false;
    this.#broken = true;
    this.input.fail(error);
    this.input.events.send({ type: 'phase', phase: 'failed' });
  }

  /** Ends the review, and the run with it. */
  discard(): void {
    if (!this.#reviewing) throw new InputError('bad-option', 'There is no search to review.');
    this.#reviewing = false;
    this.open = false;
    this.input.events.send({ type: 'phase', phase: trains(this.config) ? 'stopped' : 'finished' });
  }

  pause(): void {
    if (this.open && !this.#reviewing) this.#control.pause();
  }

  resume(): void {
    this.#control.resume();
  }

  /** Ends the stage after the current step. */
  stop(): void {
    if (this.#reviewing) this.discard();
    else this.#control.stop();
  }

  /** Frees the adapter; the run must have ended. */
  destroy(): void {
    this.session?.layout.store.destroy();
    this.session = null;
  }
}

const figuresOf = ({
  step,
  loss,
  ce,
  balance,
  lr,
  grad_norm,
  tokens,
  seconds,
}: StepMetrics | LowerMetrics) => ({
  step,
  loss,
  ce,
  balance,
  lr,
  gradNorm: grad_norm,
  tokens,
  seconds,
});

/** Tells the progress of a session's tasks; with the time left of those that begin at 0. */
function progressOf(events: EventSender): (task: string, done: number, total: number) => void {
  let begun: number | null = null;
  return (task, done, total) => {
    if (done === 0) begun = performance.now();
    const secondsLeft = begun === null ? null : timeLeft(begun, done, total);
    events.send({
      type: 'progress',
      task,
      done,
      total,
      unit: task === 'Validating' ? 'rows' : 'kernels',
      secondsLeft,
    });
  };
}
