// One training run: order of rows, micro-batches and accumulation, schedule, evaluation, statistics
// (method §1 "Training, exactly").

import { initialValues } from '../adapters/init.ts';
import { type AdapterLayout, layoutAdapter } from '../adapters/layout.ts';
import { methodOf } from '../adapters/methods/methods.ts';
import { type Allocation, siteDims } from '../allocation/allocation.ts';
import { BatchOrder } from '../data/batching/batches.ts';
import type { LoadedModel } from '../model/load.ts';
import { STATISTICS } from '../ops/loss.ts';
import { resolveAllocation } from '../settings/resolve-allocation.ts';
import type { TrainingConfig } from '../settings/run-config.ts';
import { InputError, invariant } from '../util/error.ts';
import { streamKey } from '../util/random.ts';
import { microBatch, type Row, type Thrift } from './batch.ts';
import { Clock, RunControl } from './control.ts';
import type { Bill } from './memory/bill.ts';
import { type Choice, fitWithin, limitsOf, trainingNeed } from './memory/fit.ts';
import { Expectations, StatisticsRing } from './ring.ts';
import { runRows, shapeOf, trainingShapes } from './run-rows.ts';
import { Runtime } from './runtime.ts';
import { learningRate, totalSteps } from './schedule.ts';

/**
 * A line of metrics.jsonl for an optimizer step of a stage; values are those before its update,
 * grad_norm before clipping.
 */
export interface UpdateMetrics<Stage extends 'train' | 'search'> {
  stage: Stage;
  step: number;
  loss: number;
  ce: number;
  /**
   * Σ over sites of L_bal (in the search of open experts only), unweighted, averaged over the
   * micro-batches.
   */
  balance: number;
  lr: number;
  grad_norm: number;
  /** Tokens of the batch, padding left out. */
  tokens: number;
  /** Since the stage's first step began. */
  seconds: number;
}

export type StepMetrics = UpdateMetrics<'train'>;

/** A line of metrics.jsonl for an evaluation after `step` updates. */
export interface ValidationMetrics {
  stage: 'train';
  step: number;
  validation_loss: number;
  seconds: number;
}

/** What a run tells while it goes. */
export interface RunHooks {
  onPhase?(phase: 'compiling' | 'training' | 'evaluating' | 'paused'): void;
  /** Kernels compiled, or evaluation batches done. */
  onProgress?(task: string, done: number, total: number): void;
  onStep?(metrics: StepMetrics, total: number): void;
  onValidation?(metrics: ValidationMetrics): void;
  /** Share of kept (token, slot) pairs by routed expert, of the last micro-batch. */
  onRouting?(shares: Float32Array): void;
}

/** Everything that a run starts from. */
export interface RunInput {
  model: LoadedModel;
  rows: readonly Row[];
  config: TrainingConfig;
  /**
   * Experts and ranks (method "lora-moe"); by default what config comes to, which then names no
   * files.
   */
  allocation?: Allocation;
  /**
   * Starting values of the store (--init); by default the standard initialisation from the seed.
   */
  init?: (layout: AdapterLayout) => Promise<Float32Array<ArrayBuffer>>;
  /** How memory is saved on; by default what fits. */
  thrift?: Thrift;
  hooks?: RunHooks;
  control?: RunControl;
}

const DROPPED = new Error('the validation was stopped');

/** A run that has been set up: its adapter is on the device and can be used while it waits. */
export class Session {
  /** Optimizer steps done. */
  done = 0;
  private readonly control: RunControl;
  private readonly hooks: RunHooks;
  private readonly clock = new Clock();
  private failure: Error | null = null;
  /** Step whose validation was stopped. */
  private dropped = -1;
  private constructor(
    private readonly input: RunInput,
    readonly layout: AdapterLayout,
    private readonly runtime: Runtime,
    private readonly split: { train: readonly Row[]; validation: readonly Row[] },
    private readonly order: BatchOrder,
    readonly steps: number,
    /** How the run fits the memory there is. */
    readonly choice: Choice & { bill: Bill },
  ) {
    this.control = input.control ?? new RunControl();
    this.hooks = input.hooks ?? {};
  }

  /**
   * Lays out the adapter, initialises it and compiles.
   * @throws InputError when the data cannot fill a batch
   */
  static async create(input: RunInput): Promise<Session> {
    const { model, config, rows, hooks } = input;
    const { train } = config;
    if (rows.length === 0) throw new InputError('bad-data', 'The dataset has no row to train on.');
    const split = runRows(rows, config);
    const order = new BatchOrder(split.train.length, train.batch, config.data.shuffle, config.seed);
    const steps = totalSteps(train, config.data.shuffle, split.train.length);
    const layout = layoutAdapter(
      { ...config.adapter, allocation: allocationOf(input) },
      model.config.layers,
      siteDims(model.config),
    );
    if (layout.store.size === 0)
      throw new InputError(
        'bad-config',
        'The allocation gives no site an expert: there is nothing to train.',
      );
    const need = trainingNeed(model, config, trainingShapes(rows, config), input.allocation);
    const choice = fitWithin(need, limitsOf(model.gpu, config), input.thrift);
    const values = input.init ? await input.init(layout) : initialValues(layout, config.seed);
    layout.store.allocate(model.gpu);
    model.gpu.device.queue.writeBuffer(layout.store.buffers!.value, 0, values);
    hooks?.onPhase?.('compiling');
    const runtime = await Runtime.create(
      model,
      layout,
      shapeOf([...split.train, ...split.validation], choice.microBatch),
      {
        thrift: choice,
        dropout: config.adapter.dropout > 0,
        onProgress: (done, of) => hooks?.onProgress?.('Compiling kernels', done, of),
      },
    );
    return new Session(input, layout, runtime, split, order, steps, choice);
  }

  /** Trains to the end, or until stopped. Evaluates at the end where there are validation rows. */
  async run(): Promise<void> {
    const { train } = this.input.config;
    const { gpu } = this.input.model;
    this.clock.start();
    this.hooks.onPhase?.('training');
    const { statistics, routing } = this.runtime.statistics;
    const expected = new Expectations('step');
    const ring = new StatisticsRing(gpu, [statistics, routing], ([s, r], step) =>
      this.report(step, s, r, expected),
    );
    this.runtime.clearStatistics();
    try {
      while (this.done < this.steps && (await this.pausable())) {
        await this.step(expected, ring);
        if (this.failure) throw this.failure;
        gpu.check();
        const every = train.evaluateEvery;
        if (every && this.done % every === 0 && this.done < this.steps) await this.validate(ring);
      }
      await this.validate(ring);
      if (this.failure) throw this.failure;
    } finally {
      ring.destroy();
    }
    gpu.check();
  }

  private async pausable(phase: 'training' | 'evaluating' = 'training'): Promise<boolean> {
    return this.control.gate((paused) => {
      this.clock.paused(paused);
      this.hooks.onPhase?.(paused ? 'paused' : phase);
    });
  }

  private async step(expected: Expectations, ring: StatisticsRing): Promise<void> {
    const { train, adapter, seed } = this.input.config;
    const { microBatch: size } = this.choice;
    const rows = this.order.rows(this.done);
    const batches = [];
    for (let at = 0; at < rows.length; at += size) {
      batches.push(
        microBatch(
          Array.from(rows.slice(at, at + size), (i) => this.split.train[i]),
          this.runtime.shape,
        ),
      );
    }
    const lossTokens = batches.reduce((a, b) => a + b.lossTokens, 0);
    const lr = learningRate(train, this.done, this.steps);
    const number = this.done + 1;
    const scalars = {
      learningRate: lr,
      weightDecay: train.weightDecay,
      clipNorm: train.clipNorm ?? 0,
      inverseTokens: 1 / lossTokens,
      balanceScale: adapter.balance / batches.length,
      dropout: adapter.dropout,
      seed: streamKey(seed, 'dropout'),
      number,
    };
    expected.add(number, {
      sentinel: number,
      lossTokens,
      lr,
      tokens: batches.reduce((a, b) => a + b.tokens, 0),
    });
    batches.forEach((b, micro) => {
      this.runtime.micro(b, { ...scalars, micro }, this.flopsPerSubmit);
    });
    this.runtime.update(scalars);
    await ring.push(number);
    this.done = number;
  }

  /** Work per submit, from the speed measured so far, so that a submit holds 10–20 ms. */
  private get flopsPerSubmit(): number | undefined {
    if (this.done === 0) return undefined;
    const perStep =
      this.runtime.flops.micro * (this.input.config.train.batch / this.choice.microBatch);
    return Math.max(1e6, ((perStep * this.done) / this.clock.seconds) * 0.015);
  }

  private report(
    step: number,
    s: Float32Array,
    routing: Float32Array,
    expected: Expectations,
  ): void {
    const { train, adapter } = this.input.config;
    const want = expected.take(step, s);
    if (want instanceof Error) {
      this.failure ??= want;
      return;
    }
    const ce = s[STATISTICS.crossEntropy] / want.lossTokens;
    const balance = s[STATISTICS.balance] / (train.batch / this.choice.microBatch);
    const loss = ce + adapter.balance * balance;
    const grad_norm = s[STATISTICS.gradNorm];
    if (!Number.isFinite(loss) || !Number.isFinite(grad_norm)) {
      this.failure ??= new Error(
        `Step ${step} gave a loss of ${loss} and a gradient norm of ${grad_norm}; no update was made from it. Lower train.learningRate (${train.learningRate}) and start again.`,
      );
      return;
    }
    this.hooks.onStep?.(
      {
        stage: 'train',
        step,
        loss,
        ce,
        balance,
        lr: want.lr,
        grad_norm,
        tokens: want.tokens,
        seconds: this.clock.seconds,
      },
      this.steps,
    );
    this.hooks.onRouting?.(routing.slice(0, this.layout.routedExperts));
  }

  /** Pauses between batches. A stop drops it, and with it any other after the same step. */
  private async validate(ring: StatisticsRing): Promise<void> {
    await ring.drain();
    if (this.split.validation.length === 0 || this.dropped === this.done) return;
    this.hooks.onPhase?.('evaluating');
    const { stops } = this.control;
    try {
      const validation_loss = await meanLoss(
        this.runtime,
        this.split.validation,
        async (done, of) => {
          this.hooks.onProgress?.('Validating', done, of);
          await this.pausable('evaluating');
          if (this.control.stops > stops) throw DROPPED;
        },
      );
      this.hooks.onValidation?.({
        stage: 'train',
        step: this.done,
        validation_loss,
        seconds: this.clock.seconds,
      });
    } catch (error) {
      if (error !== DROPPED) throw error;
      this.dropped = this.done;
    }
    this.hooks.onPhase?.('training');
  }

  /** The adapter's values as they are now. */
  values(): Promise<Float32Array<ArrayBuffer>> {
    return this.layout.store.read(this.input.model.gpu, 'value');
  }

  /** Frees the run's programs; the adapter's parameters too unless they are still in use. */
  destroy(keepAdapter = false): void {
    this.runtime.destroy();
    if (!keepAdapter) this.layout.store.destroy();
  }
}

const allocationOf = ({ model, config, allocation }: RunInput): Allocation =>
  (methodOf(config.adapter.method).allocated && allocation) ||
  resolveAllocation(config, model.config);

/**
 * Mean cross-entropy over all loss-carrying tokens of rows, in batches of the runtime's shape.
 * @param onProgress may throw to stop
 */
export async function meanLoss(
  runtime: Runtime,
  rows: readonly Row[],
  onProgress?: (done: number, of: number) => void | Promise<void>,
): Promise<number> {
  const size = runtime.shape.rows;
  await onProgress?.(0, rows.length);
  let sum = 0;
  let tokens = 0;
  for (let at = 0; at < rows.length; at += size) {
    const batch = microBatch(rows.slice(at, at + size), runtime.shape);
    runtime.evaluate(batch);
    const s = await runtime.readStatistics();
    invariant(s[STATISTICS.tokens] === batch.lossTokens, 'the GPU did not finish an evaluation');
    sum += s[STATISTICS.crossEntropy];
    tokens += batch.lossTokens;
    await onProgress?.(Math.min(rows.length, at + size), rows.length);
  }
  return sum / tokens;
}
