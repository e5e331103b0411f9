// The training of an adapter: order of rows, micro-batches and accumulation, schedule, validation
// (method §1 "Training, exactly").
import { initialValues } from '../adapters/init.ts';
import type { AdapterLayout } from '../adapters/layout.ts';
import type { Allocation } from '../allocation/allocation.ts';
import type { BatchOrder } from '../data/batching/batches.ts';
import type { LoadedModel } from '../model/load.ts';
import type { TrainingConfig } from '../settings/run-config.ts';
import { InputError, invariant } from '../util/error.ts';
import { streamKey } from '../util/random.ts';
import { joinedBatch, type MemoryOptions, type Row, tokensOf } from './batch.ts';
import { meanLoss } from './evaluate.ts';
import type { MemoryEstimate } from './memory/estimate.ts';
import { fitWithin, limitsOf, type MemoryPlan } from './memory/fit.ts';
import { trainingRequest } from './memory/request.ts';
import type { StatisticsRing } from './ring.ts';
import { type Lesson, orderOf, partsOf, runRows, trainingShapes } from './run-rows.ts';
import { Runtime } from './runtime.ts';
import { learningRate, totalSteps } from './schedule.ts';
import { Stage, type StageLinks } from './stage.ts';

/** Everything that a training starts from. */
export interface TrainingInput extends StageLinks {
  model: LoadedModel;
  rows: readonly Row[];
  /** Rows that take the place of those before from a step (counted from 0) on, ascending. */
  later?: readonly Lesson[];
  config: TrainingConfig;
  /**
   * Experts and ranks, where the method has an allocation; by default what config comes to, which
   * then names no files.
   */
  allocation?: Allocation;
  /**
   * Starting values of the store (--init); by default the standard initialisation from the seed.
   */
  init?: (layout: AdapterLayout) => Promise<Float32Array<ArrayBuffer>>;
  /** How memory is saved on; by default what fits. */
  memoryOptions?: MemoryOptions;
}

/** A lesson's training rows with their order, and its held-out rows. */
interface Taught {
  from: number;
  train: readonly Row[];
  validation: readonly Row[];
  order: BatchOrder;
}

const DROPPED = new Error('the validation was stopped');

/** A training that has been set up: its adapter is on the device and can be used while it waits. */
export class TrainingStage extends Stage {
  /** Step whose validation was stopped. */
  private dropped = -1;
  private statistics!: StatisticsRing;

  private constructor(
    private readonly input: TrainingInput,
    readonly layout: AdapterLayout,
    private readonly runtime: Runtime,
    private readonly lessons: readonly Taught[],
    readonly steps: number,
    /** How the training fits the memory there is. */
    readonly choice: MemoryPlan & { estimate: MemoryEstimate },
  ) {
    super(input.model, { adapter: layout.store }, runtime, 'training', steps, input);
  }

  /**
   * Lays out the adapter, initialises it and compiles.
   * @throws InputError when the data cannot fill a batch, or the training does not fit
   */
  static async create(input: TrainingInput): Promise<TrainingStage> {
    const { model, config, rows, later = [], emit } = input;
    const { train, data, seed } = config;
    emit?.({ type: 'phase', phase: 'compiling' });
    if (rows.length === 0) throw new InputError('bad-data', 'There are no rows to train on.');
    const given = [{ from: 0, rows }, ...later];
    const lessons = given.map((lesson): Taught => {
      const split = runRows(lesson.rows, config);
      return { from: lesson.from, ...split, order: orderOf(split.train, config) };
    });
    const steps = totalSteps(train, data.shuffle, lessons[0].train.length);
    const shapes = trainingShapes(rows, config, later);
    invariant(
      input.allocation || config.allocation !== 'search',
      'a search has found no allocation',
    );
    const request = trainingRequest(model, config, shapes, input.allocation);
    const limits = limitsOf(model.gpu, config);
    const { recording, ...choice } = fitWithin(request, limits, input.memoryOptions);
    const { layout } = recording;
    const values = input.init ? await input.init(layout) : initialValues(layout, seed);
    layout.store.allocate(model.gpu, values);
    try {
      const runtime = await new Runtime(model, recording).compile((done, total) =>
        emit?.({
          type: 'progress',
          task: 'compiling',
          done,
          total,
        }),
      );
      return new TrainingStage(input, layout, runtime, lessons, steps, choice);
    } catch (error) {
      layout.store.destroy();
      throw error;
    }
  }

  get config(): TrainingConfig {
    return this.input.config;
  }

  get done(): number {
    return this.position;
  }

  /** Micro-batches of an update. */
  private get parts(): number {
    return this.config.train.batch / this.choice.microBatch;
  }

  protected begin(): void {
    const { learningRate: rate } = this.config.train;
    this.runtime.clearStatistics();
    this.statistics = this.ring('step', this.runtime.sources[0], (step, s, routing) => {
      const fine = this.reportUpdate(step, s, {
        stage: 'train',
        what: `Step ${step.step}`,
        setting: `train.learningRate (${rate})`,
        parts: this.parts,
        balance: this.config.adapter.balance,
        total: this.steps,
      });
      const shares = routing.slice(0, this.layout.routedExperts);
      if (fine) this.emit({ type: 'routing', shares });
    });
  }

  private lesson(step: number): Taught {
    return this.lessons.findLast(({ from }) => from <= step)!;
  }

  protected async turn(step: number): Promise<void> {
    const { train, adapter, seed } = this.config;
    const { microBatch: size } = this.choice;
    const { from, train: rows, order } = this.lesson(step);
    const batches = partsOf(order.rows(step - from), rows, this.config, size).map((part) =>
      joinedBatch(
        part.map((n) => rows[n]),
        this.runtime.shapes.micro,
      ),
    );
    const { lossTokens, tokens } = tokensOf(batches);
    const lr = learningRate(train, step, this.steps);
    const number = step + 1;
    const scalars = {
      learningRate: lr,
      weightDecay: train.weightDecay,
      clipNorm: train.clipNorm ?? 0,
      inverseTokens: 1 / lossTokens,
      balanceScale: adapter.balance / this.parts,
      dropout: adapter.dropout,
      seed: streamKey(seed, 'dropout'),
      number,
    };
    batches.forEach((b, micro) => {
      this.runtime.micro(b, { ...scalars, micro });
    });
    this.runtime.update(scalars);
    await this.statistics.push({
      step: number,
      sentinel: number,
      lossTokens,
      tokens,
      lr,
      work: this.runtime.work,
    });
  }

  /** Validates where it is time. A stop drops it, and with it any other after the same step. */
  protected override async between(over: boolean): Promise<void> {
    const { evaluateEvery } = this.config.train;
    if (!over && !(evaluateEvery && this.done % evaluateEvery === 0)) return;
    const { validation } = this.lesson(Math.max(0, this.done - 1));
    if (validation.length === 0 || this.dropped === this.done) return;
    await this.settle();
    this.emit({ type: 'phase', phase: 'evaluating' });
    const { stops } = this.control;
    try {
      const validation_loss = await meanLoss(this.runtime, validation, async (done, total) => {
        this.emit({
          type: 'progress',
          task: 'validating',
          done,
          total,
        });
        await this.pausable('evaluating');
        if (this.control.stops > stops) throw DROPPED;
      });
      const { seconds } = this.clock;
      this.emit({
        type: 'validation',
        metrics: {
          stage: 'train',
          step: this.done,
          validation_loss,
          seconds,
        },
      });
    } catch (error) {
      if (error !== DROPPED) throw error;
      this.dropped = this.done;
    }
    this.emit({ type: 'phase', phase: 'training' });
  }

  /** The adapter's values as they are now. */
  values(): Promise<Float32Array<ArrayBuffer>> {
    return this.layout.store.read(this.model.gpu, 'value');
  }
}
