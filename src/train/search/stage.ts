// The search of a run: pairs of micro-batches, upper steps over the GuidedSelection Vectors, lower
// updates (method §2–3).
import type { Allocation } from '../../allocation/allocation.ts';
import type { LoadedModel } from '../../model/load.ts';
import { STATISTICS } from '../../ops/loss.ts';
import type { SearchConfig } from '../../settings/run-config.ts';
import { InputError } from '../../util/error.ts';
import { streamKey } from '../../util/random.ts';
import { joinedBatch, type MemoryOptions, type MicroBatch, type Row, tokensOf } from '../batch.ts';
import { fitWithin, limitsOf } from '../memory/fit.ts';
import { searchRequest } from '../memory/request.ts';
import type { PendingStep, StatisticsRing } from '../ring.ts';
import { pairsOf, searchRows, searchShapes } from '../run-rows.ts';
import { learningRate } from '../schedule.ts';
import { Stage, type StageLinks, type StageState, tensorOf } from '../stage.ts';
import type { SearchLayout } from './layout.ts';
import { SearchRuntime } from './runtime.ts';
import { placeSearch } from './setup.ts';
import { initialSearchValues, type SearchValues, selection, siteValues } from './values.ts';

/** Everything that a search starts from. */
export interface SearchInput extends StageLinks {
  model: LoadedModel;
  rows: readonly Row[];
  config: SearchConfig;
  /** Starting values (--init); by default those of the method, from the seed. */
  init?: (layout: SearchLayout) => Promise<SearchValues>;
  /** How memory is saved on; by default what fits. */
  memoryOptions?: MemoryOptions;
}

/** A search that has been set up; a turn of its loop is a pair of micro-batches. */
export class SearchStage extends Stage {
  readonly steps: number;
  /** Pairs of a lower update. */
  private readonly accumulate: number;
  private lower!: StatisticsRing;
  private upper!: StatisticsRing;

  private constructor(
    private readonly input: SearchInput,
    readonly layout: SearchLayout,
    private readonly runtime: SearchRuntime,
    /** The rows of the two levels, and the order of their pairs. */
    private readonly levels: Record<'lower' | 'upper', readonly Row[]>,
    private readonly pairOf: ReturnType<typeof pairsOf>,
    private readonly pairs: number,
  ) {
    const stores = { lower: layout.adapter.store, upper: layout.upper };
    super(input.model, stores, runtime, 'searching', pairs, input);
    const { search } = input.config;
    this.steps = search.steps;
    this.accumulate = search.batch / search.microBatch;
  }

  /**
   * Lays the search out, initialises it and compiles.
   * @throws InputError when the data cannot fill a pair of micro-batches, or memory is too small
   */
  static async create(input: SearchInput): Promise<SearchStage> {
    const { model, config, rows, emit } = input;
    const { search, seed } = config;
    emit?.({ type: 'phase', phase: 'compiling' });
    if (rows.length === 0) throw new InputError('bad-data', 'There are no rows to train on.');
    const levels = searchRows(rows, config);
    const pairOf = pairsOf(levels, config);
    const request = searchRequest(model, config, searchShapes(rows, config));
    const { recording } = fitWithin(request, limitsOf(model.gpu, config), input.memoryOptions);
    const { layout } = recording;
    const values = input.init
      ? await input.init(layout)
      : initialSearchValues(layout, search.sizes, seed);
    placeSearch(model, layout, values);
    try {
      const runtime = await new SearchRuntime(model, recording).compile((done, total) =>
        emit?.({
          type: 'progress',
          task: 'compiling',
          done,
          total,
        }),
      );
      const pairs = search.lowerOnlySteps + search.steps;
      return new SearchStage(input, layout, runtime, levels, pairOf, pairs);
    } catch (error) {
      for (const store of recording.stores) store.destroy();
      throw error;
    }
  }

  get config(): SearchConfig {
    return this.input.config;
  }

  get done(): number {
    return Math.max(0, this.position - this.config.search.lowerOnlySteps);
  }

  /** Flops of a search step: its upper step, and its lower micro-step. */
  get cost(): { upper: number; lower: number } {
    return this.runtime.flops;
  }

  protected async begin(): Promise<void> {
    const { search, adapter } = this.config;
    const rate = `search.learningRate (${search.learningRate})`;
    const [lower, upper] = this.runtime.sources;
    this.lower = this.ring('lower update of the search', lower, (step, s) =>
      this.reportUpdate(step, s, {
        stage: 'search',
        what: `Lower update ${step.step} of the search`,
        setting: rate,
        parts: this.accumulate,
        balance: adapter.balance,
        total: Math.floor(this.pairs / this.accumulate),
      }),
    );
    this.upper = this.ring('upper step of the search', upper, (step, s, cost, store) =>
      this.reportUpper(step, s, cost, store, rate),
    );
    if (this.position > 0) return;
    const values = await this.vectors();
    this.emit({
      type: 'upper',
      metrics: null,
      values,
      total: this.steps,
    });
  }

  private batch(pair: number, of: 'b1' | 'b2'): MicroBatch {
    const level = this.levels[of === 'b1' ? 'lower' : 'upper'];
    const rows = Array.from(this.pairOf(pair)[of], (i) => level[i]);
    return joinedBatch(rows, this.runtime.shapes.micro);
  }

  protected async turn(pair: number): Promise<void> {
    const { search } = this.config;
    const update = Math.floor(pair / this.accumulate);
    const lr = learningRate(search, update, Math.ceil(this.pairs / this.accumulate));
    this.runtime.beginPair(pair + 1);
    const b1 = this.batch(pair, 'b1');
    if (pair >= search.lowerOnlySteps) await this.upperStep(pair, b1, lr);
    await this.lowerStep(pair, b1, update, lr);
  }

  private async upperStep(pair: number, b1: MicroBatch, xi: number): Promise<void> {
    const { search, adapter } = this.config;
    const step = pair - search.lowerOnlySteps + 1;
    const lr = search.upperLearningRate;
    const b2 = this.batch(pair, 'b2');
    const { lossTokens, tokens } = b2;
    this.runtime.hypergradient(b1, b2, xi, adapter.balance);
    this.runtime.upperUpdate(lr, step);
    const { work } = this.runtime;
    await this.upper.push({ step, sentinel: pair + 1, lossTokens, tokens, lr, work });
  }

  private async lowerStep(pair: number, b1: MicroBatch, update: number, lr: number): Promise<void> {
    const { search, adapter, seed } = this.config;
    // All of the update's b1s: their tokens are its normalisation.
    const first = update * this.accumulate;
    const all = Array.from({ length: this.accumulate }, (_, i) =>
      first + i === pair ? b1 : this.batch(first + i, 'b1'),
    );
    const { lossTokens, tokens } = tokensOf(all);
    const scalars = {
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
    await this.lower.push({
      step: update + 1,
      sentinel: update + 1,
      lossTokens,
      tokens,
      lr,
      work: this.runtime.work,
    });
  }

  private reportUpper(
    { step, lossTokens }: PendingStep,
    s: Float32Array,
    [lambda, share]: Float32Array,
    store: Float32Array,
    rate: string,
  ): void {
    const { search, adapter } = this.config;
    const upper_loss =
      s[STATISTICS.crossEntropy] / lossTokens + adapter.balance * s[STATISTICS.balance];
    const values = siteValues(this.layout, store);
    const bad = values.find((v) => !Number.isFinite(v));
    if (!Number.isFinite(upper_loss) || bad !== undefined) {
      const vector = bad === undefined ? '' : ` and a GuidedSelection Vector with ${bad}`;
      this.fail(
        `Upper step ${step} of the search gave a loss of ${upper_loss}${vector}. Lower ${rate} or search.upperLearningRate (${search.upperLearningRate}) and start again.`,
      );
      return;
    }
    const metrics = { step, upper_loss, lambda, share, seconds: this.clock.seconds };
    this.emit({
      type: 'upper',
      metrics,
      values,
      total: this.steps,
    });
  }

  /** All GSVs as they are now, site by site. */
  private async vectors(): Promise<Float32Array<ArrayBuffer>> {
    return siteValues(this.layout, await this.layout.upper.read(this.model.gpu, 'value'));
  }

  /** The experts and ranks that the GSVs come to as they are now. */
  async selection(): Promise<Allocation> {
    return selection(this.layout, await this.vectors());
  }

  /** Values of both stores as they are now. */
  async values(): Promise<SearchValues> {
    const { gpu } = this.model;
    return {
      lower: await this.layout.adapter.store.read(gpu, 'value'),
      upper: await this.layout.upper.read(gpu, 'value'),
    };
  }

  /** Between the pairs of a lower update its gradient and statistics so far belong to it. */
  private get isMidUpdate(): boolean {
    return this.position % this.accumulate > 0;
  }

  override async state(): Promise<StageState> {
    const { tensors, numbers } = await super.state();
    if (this.isMidUpdate) {
      tensors['lower.grad'] = await this.layout.adapter.store.read(this.model.gpu, 'grad');
      tensors.statistics = await this.runtime.readStatistics();
      this.runtime.writeStatistics(tensors.statistics);
    }
    const { lambda } = await this.runtime.readCost();
    return { tensors, numbers: { ...numbers, lambda } };
  }

  override restore(state: StageState): void {
    super.restore(state);
    const { tensors, numbers } = state;
    if (this.isMidUpdate) {
      this.layout.adapter.store.write(this.model.gpu, 'grad', tensorOf(tensors, 'lower.grad'));
      this.runtime.writeStatistics(tensorOf(tensors, 'statistics'));
    }
    this.runtime.writeLambda(numbers.lambda);
    this.runtime.refreshSizes();
  }
}
