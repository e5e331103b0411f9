// The bilevel search on the device (method §2–3): programs of both levels over the flat buffers,
// and the steps that replay them.

import { createStaging, readBuffer, writeBuffer } from '../../gpu/buffers.ts';
import { Memory, Program } from '../../graph/program.ts';
import type { Tensor } from '../../graph/tensor.ts';
import type { LoadedModel } from '../../model/load.ts';
import { EXPERT_WORDS, SITE_WORDS } from '../../ops/adapter.ts';
import { DUAL_START } from '../../ops/gsv.ts';
import { STATISTICS } from '../../ops/loss.ts';
import type { AdamW } from '../../ops/optim.ts';
import { invariant } from '../../util/error.ts';
import {
  type BatchShape,
  type MicroBatch,
  type StepScalars,
  stepBytes,
  writeBatch,
} from '../batch.ts';
import type { SearchLayout } from './layout.ts';
import {
  recordSearch,
  type SearchOptions,
  type SearchProgram,
  type SearchRecording,
  type SearchStates,
  UPPER_ADAMW,
  upperSteps,
} from './programs.ts';

/**
 * A search: both stores, their programs, and the states between. Parameters of both stores must be
 * allocated.
 */
export class SearchRuntime {
  private readonly memory: Memory;
  private readonly states: SearchStates;
  private readonly staging: GPUBuffer;
  private readonly programs = new Map<SearchProgram, Program>();
  private pair = 0;
  /** Work per submit, once a speed is known. */
  flopsPerSubmit: number | undefined;

  private constructor(
    readonly model: LoadedModel,
    readonly layout: SearchLayout,
    readonly shape: BatchShape,
    private readonly options: SearchOptions,
    recording: SearchRecording,
  ) {
    this.memory = new Memory(model.gpu, [layout.adapter.store, layout.upper]);
    for (const t of model.weights.all) this.memory.share(t, model.memory.get(t));
    for (const t of recording.all) this.memory.allocate(t);
    this.states = recording.states;
    this.staging = createStaging(
      model.gpu,
      Math.max(STATISTICS.size, ...this.tables.map((t) => t.shape[0])) * 4,
    );
  }

  /** Records and compiles everything that the options need, and sets λ and the sizes. */
  static async create(
    model: LoadedModel,
    layout: SearchLayout,
    shape: BatchShape,
    options: SearchOptions,
  ): Promise<SearchRuntime> {
    const { cost, budget, onProgress } = options;
    invariant(
      layout.survival || (cost === 0 && budget === null && options.sizes === 'argmax'),
      'cost, budget and drawn sizes need survival',
    );
    const recording = recordSearch(model, layout, shape, options);
    const runtime = new SearchRuntime(model, layout, shape, options, recording);
    for (const [name, rec] of recording.programs)
      runtime.programs.set(name, await Program.compile(rec, runtime.memory, { onProgress }));
    runtime.writeLambda(budget === null ? cost : DUAL_START);
    runtime.refreshSizes();
    return runtime;
  }

  private replay(
    name: SearchProgram,
    batch?: MicroBatch,
    scalars: StepScalars = {},
    optimizer?: AdamW,
  ): void {
    const { gpu } = this.model;
    if (batch) writeBatch(this.memory, this.states.batch, batch);
    gpu.device.queue.writeBuffer(this.memory.step, 0, stepBytes(scalars, optimizer));
    const program = this.programs.get(name);
    invariant(program, `the search has no program ${name}`);
    program.replay({ flopsPerSubmit: this.flopsPerSubmit });
  }

  /**
   * Begins a pair of micro-batches, counted from 1: drawn sizes are drawn, a pure function of the
   * seed, the pair and the GSVs.
   */
  beginPair(pair: number): void {
    this.pair = pair;
    if (this.options.sizes === 'sampled') this.refreshSizes();
  }

  /** Sets the sizes from the GSVs as they stand: after GSVs were written from outside. */
  refreshSizes(): void {
    this.replay('sizes', undefined, { seed: this.options.seed, number: this.pair });
  }

  /** One lower micro-step on b1: adds ∇_w L into the lower gradient. */
  lower(batch: MicroBatch, scalars: StepScalars): void {
    this.replay('lower', batch, scalars);
  }

  /** The lower optimizer's update. */
  lowerUpdate(scalars: StepScalars): void {
    this.replay('lowerUpdate', undefined, scalars);
  }

  /**
   * The upper gradient G of a pair of micro-batches with the cost's, added to the upper gradient;
   * w, the lower gradient and all moments stay as they are. First order does not look at b1, ξ and
   * balance.
   * @param xi ξ, the learning rate of the coming lower update
   * @param balance the balance coefficient, part of the lower gradients at w and w′
   */
  hypergradient(b1: MicroBatch, b2: MicroBatch, xi: number, balance: number): void {
    const alone = (b: MicroBatch): StepScalars => ({
      inverseTokens: 1 / b.lossTokens,
      number: this.pair,
    });
    if (this.options.order === 'first-order') {
      this.replay('upper', b2, alone(b2));
      return;
    }
    const scale = { learningRate: xi };
    this.replay('save');
    this.replay('slope', b1, { ...alone(b1), balanceScale: balance });
    this.replay('virtual', undefined, scale);
    this.replay('both', b2, { ...alone(b2), balanceScale: balance });
    this.replay('perturb', undefined, scale);
    this.replay('beside', b1, alone(b1));
    this.replay('across', undefined, scale);
    this.replay('beside', b1, alone(b1));
    this.replay('finish', undefined, scale);
  }

  /**
   * The upper optimizer's update with λ and the share that follow, and sizes by argmax; drawn sizes
   * stay until the next pair. `step` counts from 1.
   */
  upperUpdate(learningRate: number, step: number): void {
    this.replay('upperUpdate', undefined, { learningRate, number: step }, UPPER_ADAMW);
    if (this.options.sizes === 'argmax') this.refreshSizes();
  }

  /**
   * To copy from after an upper step: statistics of the pass that gives ∇_a L(b2), its balance loss
   * counted though it moves no GSV, with the pair as sentinel and the norm of G; [λ,
   * E[params]/params(E_max, R_max)]; and the GSVs.
   */
  get upperSources(): GPUBuffer[] {
    return [
      this.memory.get(this.states.noted),
      this.memory.get(this.states.cost.cost),
      this.layout.upper.buffers!.value,
    ];
  }

  /**
   * To copy from after a lower update: the lower level's statistics, and f and P of all experts.
   */
  get lowerSources(): GPUBuffer[] {
    return [
      this.memory.get(this.states.batch.statistics),
      this.memory.get(this.states.batch.routing),
    ];
  }

  /** Flops of a lower micro-step, a lower update, and an upper step with its update. */
  get flops(): { lower: number; lowerUpdate: number; upper: number } {
    const of = (...names: SearchProgram[]) =>
      names.reduce((sum, n) => sum + this.programs.get(n)!.flops, 0);
    return {
      lower: of('lower'),
      lowerUpdate: of('lowerUpdate'),
      upper: of(...upperSteps(this.options.order), 'upperUpdate', 'sizes'),
    };
  }

  /** The compiled programs, for the profiler. */
  get compiled(): ReadonlyMap<SearchProgram, Program> {
    return this.programs;
  }

  /** Sets λ: when a search goes on from where another stood. */
  writeLambda(lambda: number): void {
    writeBuffer(this.model.gpu, this.memory.get(this.states.cost.cost), Float32Array.of(lambda));
  }

  private get tables(): Tensor[] {
    return [...this.layout.adapter.groups.values()].map((g) => g.experts.table);
  }

  private async read(t: Tensor): Promise<ArrayBuffer> {
    const buffer = this.memory.get(t);
    return readBuffer(this.model.gpu, buffer, 0, buffer.size, this.staging);
  }

  /** Reads the lower level's statistics and zeroes them. */
  async readStatistics(): Promise<Float32Array> {
    const values = new Float32Array(await this.read(this.states.batch.statistics));
    this.clearStatistics();
    return values;
  }

  /** The first of `upperSources`. */
  async readUpperStatistics(): Promise<Float32Array> {
    return new Float32Array(await this.read(this.states.noted));
  }

  /** λ, and the share of params(E_max, R_max) that is expected after the last upper step. */
  async readCost(): Promise<{ lambda: number; share: number }> {
    const [lambda, share] = new Float32Array(await this.read(this.states.cost.cost));
    return { lambda, share };
  }

  /** The sizes as they stand: per site the open experts, then each expert's open rows. */
  async readSizes(): Promise<Uint32Array> {
    const sizes: number[] = [];
    for (const { sites, experts } of this.layout.adapter.groups.values()) {
      const words = new Uint32Array(await this.read(experts.table));
      let expert = SITE_WORDS * sites.length + 2;
      sites.forEach(({ ranks }, s) => {
        sizes.push(words[SITE_WORDS * s + 2]);
        for (let e = 0; e < ranks.length; e++, expert += EXPERT_WORDS) sizes.push(words[expert]);
      });
    }
    return Uint32Array.from(sizes);
  }

  /** Zeroes the lower level's statistics. */
  clearStatistics(): void {
    writeBuffer(
      this.model.gpu,
      this.memory.get(this.states.batch.statistics),
      new Float32Array(STATISTICS.size),
    );
  }

  /** Frees programs and states; the stores stay. */
  destroy(): void {
    for (const p of this.programs.values()) p.destroy();
    this.memory.destroy();
    this.staging.destroy();
  }
}
