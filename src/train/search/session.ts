// The search of a run: pairs of micro-batches, upper steps over the GuidedSelection Vectors, lower
// updates (method §2–3).
import type { Allocation } from '../../allocation/allocation.ts';
import type { LoadedModel } from '../../model/load.ts';
import { STATISTICS } from '../../ops/loss.ts';
import type { SearchConfig } from '../../settings/run-config.ts';
import { InputError } from '../../util/error.ts';
import { streamKey } from '../../util/random.ts';
import { type MicroBatch, microBatch, type Row, type StepScalars, type Thrift } from '../batch.ts';
import { Clock, RunControl } from '../control.ts';
import { fitWithin, limitsOf, searchNeed } from '../memory/fit.ts';
import { Expectations, StatisticsRing } from '../ring.ts';
import { levelRows, pairsOf, searchRows, searchShapes, shapeOf } from '../run-rows.ts';
import { learningRate } from '../schedule.ts';
import type { UpdateMetrics } from '../session.ts';
import type { SearchLayout } from './layout.ts';
import { SearchRuntime } from './runtime.ts';
import { placeSearch, searchLayout, searchOptions } from './setup.ts';
import { initialSearchValues, type SearchValues, selection, siteValues } from './values.ts';

/** A lower update. */
export type LowerMetrics = UpdateMetrics<'search'>;

/** What an upper step tells. */
export interface UpperMetrics {
  step: number;
  /** L(b2; ·) of the pass that gives ∇_a, with balance. */
  upper_loss: number;
  /** λ and E[params]/params(E_max, R_max) after the step. */
  lambda: number;
  share: number;
  seconds: number;
}

/** What a search tells while it goes. */
export interface SearchHooks {
  onPhase?(phase: 'compiling' | 'searching' | 'paused'): void;
  /** Kernels compiled. */
  onProgress?(task: string, done: number, total: number): void;
  /** A lower update, of `total`. */
  onLower?(metrics: LowerMetrics, total: number): void;
  /** An upper step, of `total`, and all GSVs after it, site by site; null: the start. */
  onUpper?(metrics: UpperMetrics | null, values: Float32Array<ArrayBuffer>, total: number): void;
}

/** Everything that a search starts from. */
export interface SearchInput {
  model: LoadedModel;
  rows: readonly Row[];
  config: SearchConfig;
  /** Starting values (--init); by default those of the method, from the seed. */
  init?: (layout: SearchLayout) => Promise<SearchValues>;
  /** How memory is saved on; by default what fits. */
  thrift?: Thrift;
  hooks?: SearchHooks;
  control?: RunControl;
}

/** A search that has been set up. */
export class SearchSession {
  /** Upper steps done. */
  done = 0;
  readonly steps: number;
  private readonly pairs: number;
  private readonly accumulate: number;
  private readonly updates: number;
  private readonly control: RunControl;
  private readonly hooks: SearchHooks;
  private readonly clock = new Clock();
  private failure: Error | null = null;

  private constructor(
    private readonly input: SearchInput,
    readonly layout: SearchLayout,
    private readonly runtime: SearchRuntime,
    /** The rows of the two levels, and the order of their pairs. */
    private readonly levels: Record<'lower' | 'upper', readonly Row[]>,
    private readonly pairOf: ReturnType<typeof pairsOf>,
  ) {
    const { search } = input.config;
    this.control = input.control ?? new RunControl();
    this.hooks = input.hooks ?? {};
    this.steps = search.steps;
    this.pairs = search.lowerOnlySteps + search.steps;
    this.accumulate = search.batch / search.microBatch;
    this.updates = Math.ceil(this.pairs / this.accumulate);
  }

  /**
   * Lays the search out, initialises it and compiles.
   * @throws InputError when the data cannot fill a pair of micro-batches
   */
  static async create(input: SearchInput): Promise<SearchSession> {
    const { model, config, rows, hooks } = input;
    const { search, seed } = config;
    if (rows.length === 0) throw new InputError('bad-data', 'The dataset has no row to train on.');
    const levels = searchRows(rows, config);
    const pairOf = pairsOf(levels, config);
    const choice = fitWithin(
      searchNeed(model, config, searchShapes(rows, config)),
      limitsOf(model.gpu, config),
      input.thrift,
    );
    const layout = searchLayout(config, model.config);
    const values = input.init
      ? await input.init(layout)
      : initialSearchValues(layout, search.sizes, seed);
    placeSearch(model, layout, values);
    hooks?.onPhase?.('compiling');
    const runtime = await SearchRuntime.create(
      model,
      layout,
      shapeOf(levelRows(levels), search.microBatch),
      {
        ...searchOptions(config),
        thrift: choice,
        onProgress: (done, of) => hooks?.onProgress?.('Compiling kernels', done, of),
      },
    );
    return new SearchSession(input, layout, runtime, levels, pairOf);
  }

  /** Flops of a search step: its upper step, and its lower micro-step. */
  get cost(): { upper: number; lower: number } {
    return this.runtime.flops;
  }

  /** Searches to the end, or until stopped. */
  async run(): Promise<void> {
    const { gpu } = this.input.model;
    const { search } = this.input.config;
    this.clock.start();
    this.hooks.onPhase?.('searching');
    this.hooks.onUpper?.(null, await this.values(), this.steps);
    const lower = new Expectations('lower update of the search');
    const upper = new Expectations('upper step of the search');
    const lowerRing = new StatisticsRing(gpu, this.runtime.lowerSources, ([s], step) =>
      this.reportLower(step, s, lower),
    );
    const upperRing = new StatisticsRing(gpu, this.runtime.upperSources, ([s, c, v], step) =>
      this.reportUpper(step, s, c, v, upper),
    );
    try {
      for (let pair = 0; pair < this.pairs && (await this.pausable()); pair++) {
        const update = Math.floor(pair / this.accumulate);
        const lr = learningRate(search, update, this.updates);
        this.runtime.beginPair(pair + 1);
        const b1 = this.batch(pair, 'b1');
        if (pair >= search.lowerOnlySteps)
          await this.upperStep(b1, this.batch(pair, 'b2'), lr, upper, upperRing);
        await this.lowerStep(pair, b1, update, lr, lower, lowerRing);
        if (this.failure) throw this.failure;
        gpu.check();
        this.runtime.flopsPerSubmit = this.flopsPerSubmit;
      }
      await lowerRing.drain();
      await upperRing.drain();
      if (this.failure) throw this.failure;
    } finally {
      lowerRing.destroy();
      upperRing.destroy();
    }
    gpu.check();
  }

  /** Work per submit, from the speed measured so far, so that a submit holds 10–20 ms. */
  private get flopsPerSubmit(): number | undefined {
    if (this.done === 0) return undefined;
    const { lower, upper } = this.cost;
    return Math.max(1e6, (((lower + upper) * this.done) / this.clock.seconds) * 0.015);
  }

  private pausable(): Promise<boolean> {
    return this.control.gate((paused) => {
      this.clock.paused(paused);
      this.hooks.onPhase?.(paused ? 'paused' : 'searching');
    });
  }

  private batch(pair: number, of: 'b1' | 'b2'): MicroBatch {
    const level = this.levels[of === 'b1' ? 'lower' : 'upper'];
    const rows = Array.from(this.pairOf(pair)[of], (i) => level[i]);
    return microBatch(rows, this.runtime.shape);
  }

  private async upperStep(
    b1: MicroBatch,
    b2: MicroBatch,
    xi: number,
    expected: Expectations,
    ring: StatisticsRing,
  ): Promise<void> {
    const { search, adapter } = this.input.config;
    const step = this.done + 1;
    this.runtime.hypergradient(b1, b2, xi, adapter.balance);
    this.runtime.upperUpdate(search.upperLearningRate, step);
    expected.add(step, {
      sentinel: search.lowerOnlySteps + step,
      lossTokens: b2.lossTokens,
      tokens: b2.tokens,
      lr: search.upperLearningRate,
    });
    await ring.push(step);
    this.done = step;
  }

  private async lowerStep(
    pair: number,
    b1: MicroBatch,
    update: number,
    lr: number,
    expected: Expectations,
    ring: StatisticsRing,
  ): Promise<void> {
    const { search, adapter, seed } = this.input.config;
    // All of the update's b1s: their tokens are its normalisation.
    const first = update * this.accumulate;
    let lossTokens = 0;
    let tokens = 0;
    for (let p = first; p < first + this.accumulate; p++) {
      const b = p === pair ? b1 : this.batch(p, 'b1');
      lossTokens += b.lossTokens;
      tokens += b.tokens;
    }
    const scalars: StepScalars = {
      learningRate: lr,
      weightDecay: search.weightDecay,
      clipNorm: search.clipNorm ?? 0,
      inverseTokens: 1 / lossTokens,
      balanceScale: adapter.balance / this.accumulate,
      dropout: adapter.dropout,
      seed: streamKey(seed, 'search dropout'),
      number: update + 1,
      micro: pair - first,
    };
    this.runtime.lower(b1, scalars);
    if (pair - first < this.accumulate - 1) return;
    this.runtime.lowerUpdate(scalars);
    expected.add(update + 1, { sentinel: update + 1, lossTokens, tokens, lr });
    await ring.push(update + 1);
  }

  private reportLower(step: number, s: Float32Array, expected: Expectations): void {
    const { search, adapter } = this.input.config;
    const want = expected.take(step, s);
    if (want instanceof Error) {
      this.failure ??= want;
      return;
    }
    const ce = s[STATISTICS.crossEntropy] / want.lossTokens;
    const balance = s[STATISTICS.balance] / this.accumulate;
    const loss = ce + adapter.balance * balance;
    const grad_norm = s[STATISTICS.gradNorm];
    if (!Number.isFinite(loss) || !Number.isFinite(grad_norm)) {
      this.failure ??= new Error(
        `Lower update ${step} of the search gave a loss of ${loss} and a gradient norm of ${grad_norm}; no update was made from it. Lower search.learningRate (${search.learningRate}) and start again.`,
      );
      return;
    }
    const { lr, tokens } = want;
    const total = Math.floor(this.pairs / this.accumulate);
    this.hooks.onLower?.(
      {
        stage: 'search',
        step,
        loss,
        ce,
        balance,
        lr,
        grad_norm,
        tokens,
        seconds: this.clock.seconds,
      },
      total,
    );
  }

  private reportUpper(
    step: number,
    s: Float32Array,
    cost: Float32Array,
    store: Float32Array,
    expected: Expectations,
  ): void {
    const { search, adapter } = this.input.config;
    const want = expected.take(step, s);
    if (want instanceof Error) {
      this.failure ??= want;
      return;
    }
    const upper_loss =
      s[STATISTICS.crossEntropy] / want.lossTokens + adapter.balance * s[STATISTICS.balance];
    const values = siteValues(this.layout, store);
    const bad = values.findIndex((v) => !Number.isFinite(v));
    if (!Number.isFinite(upper_loss) || bad >= 0) {
      this.failure ??= new Error(
        `Upper step ${step} of the search gave a loss of ${upper_loss}${bad < 0 ? '' : ` and a GuidedSelection Vector with ${values[bad]}`}. Lower search.learningRate (${search.learningRate}) or search.upperLearningRate (${search.upperLearningRate}) and start again.`,
      );
      return;
    }
    const [lambda, share] = cost;
    this.hooks.onUpper?.(
      { step, upper_loss, lambda, share, seconds: this.clock.seconds },
      values,
      this.steps,
    );
  }

  /** All GSVs as they are now, site by site. */
  async values(): Promise<Float32Array<ArrayBuffer>> {
    return siteValues(this.layout, await this.layout.upper.read(this.input.model.gpu, 'value'));
  }

  /** The experts and ranks that the GSVs come to as they are now. */
  async selection(): Promise<Allocation> {
    return selection(this.layout, await this.values());
  }

  /** Values of both stores as they are now. */
  async state(): Promise<SearchValues> {
    const { gpu } = this.input.model;
    return {
      lower: await this.layout.adapter.store.read(gpu, 'value'),
      upper: await this.layout.upper.read(gpu, 'value'),
    };
  }

  /** Frees the search's programs and both stores. */
  destroy(): void {
    this.runtime.destroy();
    this.layout.adapter.store.destroy();
    this.layout.upper.destroy();
  }
}
