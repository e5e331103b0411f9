// The bilevel search on the device (method §2–3): programs of both levels over the flat buffers,
// and the steps that replay them.

import { writeBuffer } from '../../gpu/buffers.ts';
import type { LoadedModel } from '../../model/load.ts';
import { EXPERT_WORDS, SITE_WORDS } from '../../ops/adapter.ts';
import { DUAL_START } from '../../ops/gsv.ts';
import type { BatchShapes, MicroBatch, StepScalars } from '../batch.ts';
import { ProgramSet } from '../program-set.ts';
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
export class SearchRuntime extends ProgramSet<SearchProgram> {
  private readonly options: SearchOptions;
  private readonly named: SearchStates;
  private readonly layout: SearchLayout;
  private pair = 0;

  constructor(model: LoadedModel, recording: SearchRecording) {
    super(model, recording);
    ({ options: this.options, named: this.named, layout: this.layout } = recording);
  }

  /** Records and compiles everything that the options need. Parameters must be allocated. */
  static create(
    model: LoadedModel,
    layout: SearchLayout,
    shapes: BatchShapes,
    options: SearchOptions,
  ): Promise<SearchRuntime> {
    const recording = recordSearch(model, layout, shapes, options);
    return new SearchRuntime(model, recording).compile(options.onProgress);
  }

  /** Compiles, and sets λ and the sizes. */
  override async compile(onProgress?: (done: number, of: number) => void): Promise<this> {
    await super.compile(onProgress);
    const { cost, budget } = this.options;
    this.writeLambda(budget === null ? cost : DUAL_START);
    this.refreshSizes();
    return this;
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
    this.replay('sizes', null, { seed: this.options.seed, number: this.pair });
  }

  /** One lower micro-step on b1: adds ∇_w L into the lower gradient. */
  lower(batch: MicroBatch, scalars: StepScalars): void {
    this.replay('lower', batch, scalars);
  }

  /** The lower optimizer's update. */
  lowerUpdate(scalars: StepScalars): void {
    this.replay('lowerUpdate', null, scalars);
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
    this.replay('virtual', null, scale);
    this.replay('both', b2, { ...alone(b2), balanceScale: balance });
    this.replay('perturb', null, scale);
    this.replay('beside', b1, alone(b1));
    this.replay('across', null, scale);
    this.replay('beside', b1, alone(b1));
    this.replay('finish', null, scale);
  }

  /**
   * The upper optimizer's update with λ and the share that follow, and sizes by argmax; drawn sizes
   * stay until the next pair. `step` counts from 1.
   */
  upperUpdate(learningRate: number, step: number): void {
    this.replay('upperUpdate', null, { learningRate, number: step }, UPPER_ADAMW);
    if (this.options.sizes === 'argmax') this.refreshSizes();
  }

  /** Flops of a lower micro-step, and of an upper step with its update. */
  get flops(): { lower: number; upper: number } {
    return {
      lower: this.flopsOf('lower'),
      upper: this.flopsOf(...upperSteps(this.options.order), 'upperUpdate', 'sizes'),
    };
  }

  /** Sets λ, when a search resumes from another's state. */
  writeLambda(lambda: number): void {
    writeBuffer(this.model.gpu, this.memory.get(this.named.cost.cost), Float32Array.of(lambda));
  }

  /** The statistics of the last upper step. */
  async readUpperStatistics(): Promise<Float32Array> {
    return new Float32Array(await this.read(this.memory.get(this.named.noted)));
  }

  /** λ, and the share of params(E_max, R_max) that is expected after the last upper step. */
  async readCost(): Promise<{ lambda: number; share: number }> {
    const [lambda, share] = new Float32Array(
      await this.read(this.memory.get(this.named.cost.cost)),
    );
    return { lambda, share };
  }

  /** The sizes as they stand: per site the open experts, then each expert's open rows. */
  async readSizes(): Promise<Uint32Array> {
    const sizes: number[] = [];
    for (const { sites, experts } of this.layout.adapter.groups.values()) {
      const words = new Uint32Array(await this.read(this.memory.get(experts.table)));
      let expert = SITE_WORDS * sites.length + 2;
      sites.forEach(({ ranks }, s) => {
        sizes.push(words[SITE_WORDS * s + 2]);
        for (let e = 0; e < ranks.length; e++, expert += EXPERT_WORDS) sizes.push(words[expert]);
      });
    }
    return Uint32Array.from(sizes);
  }
}
