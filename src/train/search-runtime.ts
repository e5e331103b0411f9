// The bilevel search on the device (method §2–3): programs of both levels over the flat buffers, and the steps that replay them.
import type { Group } from '../adapters/layout.ts';
import type { SearchLayout } from '../adapters/search.ts';
import { createStaging, readBuffer, writeBuffer } from '../gpu/buffers.ts';
import { Memory, Program } from '../graph/program.ts';
import { Recorder } from '../graph/recorder.ts';
import { type Tensor, tensor } from '../graph/tensor.ts';
import type { LoadedModel } from '../model/load.ts';
import { argmaxSizes, gsvGradients, searchBalance } from '../ops/gsv.ts';
import { STATISTICS } from '../ops/loss.ts';
import { type AdamW, adamw, axpy, globalNorm } from '../ops/optim.ts';
import { invariant } from '../util/error.ts';
import { type BatchShape, type BatchStates, batchStates, type MicroBatch, recordLoss, type StepScalars, stepBytes } from './batch.ts';

/** The upper level's AdamW (method §3). */
export const UPPER_ADAMW: AdamW = { beta1: 0.5, beta2: 0.999, eps: 1e-8 };

/** How the gradient of the GSVs is taken. */
export type Order = 'first-order' | 'second-order';

type Name =
  | 'sizes'
  | 'lower'
  | 'lowerUpdate'
  | 'upper'
  | 'upperUpdate'
  | 'before'
  | 'after'
  | 'save'
  | 'virtual'
  | 'perturb'
  | 'across'
  | 'finish';

/** A search: both stores, their programs, and the states between. Parameters of both stores must be allocated. */
export class SearchRuntime {
  private readonly memory: Memory;
  private readonly states: BatchStates;
  private readonly sizes: Tensor;
  /** Statistics of the upper pass that gives the upper loss, and those of the lower level meanwhile. */
  private readonly noted: Tensor;
  private readonly kept: Tensor;
  private readonly staging: GPUBuffer;
  private readonly programs = new Map<Name, Program>();

  private constructor(
    readonly model: LoadedModel,
    readonly layout: SearchLayout,
    readonly shape: BatchShape,
  ) {
    this.memory = new Memory(model.gpu, [layout.adapter.store, layout.upper]);
    for (const t of model.weights.all) this.memory.share(t, model.memory.get(t));
    this.states = batchStates(this.memory, shape, layout.adapter.routedExperts);
    this.sizes = this.state('sizes', layout.sites * (layout.experts + 1), 'u32');
    this.noted = this.state('noted statistics', STATISTICS.size);
    this.kept = this.state('kept statistics', STATISTICS.size);
    this.staging = createStaging(model.gpu, STATISTICS.size * 4);
  }

  private state(name: string, size: number, dtype: 'u32' | 'f32' = 'f32'): Tensor {
    const t = tensor(name, [size], { kind: 'state', dtype });
    this.memory.allocate(t);
    return t;
  }

  /** Records and compiles everything that the order needs, and sets the sizes. */
  static async create(model: LoadedModel, layout: SearchLayout, shape: BatchShape, order: Order): Promise<SearchRuntime> {
    const runtime = new SearchRuntime(model, layout, shape);
    const recordings = runtime.record(order);
    for (const [name, rec] of recordings) runtime.programs.set(name, await Program.compile(rec, runtime.memory));
    runtime.replay('sizes');
    return runtime;
  }

  private record(order: Order): Map<Name, Recorder> {
    const { layout, states, sizes } = this;
    const made = new Map<Name, Recorder>();
    const add = (name: Name, record: (rec: Recorder) => void, training = false) => {
      const rec = new Recorder(this.model.variants, training);
      record(rec);
      made.set(name, rec);
    };
    const masks = new Map<Group, Tensor>();
    const unused = new Map<Group, Tensor>();
    for (const [g, b] of layout.banks) {
      masks.set(g, this.state('masks', b.rowScale.shape[1] + g.layout.experts));
      unused.set(g, this.state('unused', b.rowScale.shape[1]));
    }
    const lower = layout.adapter.store.flat();
    const upper = layout.upper.flat();
    const { statistics, halt } = states;
    add('sizes', (rec) => {
      for (const b of layout.banks.values()) argmaxSizes(rec, b.group, b.experts, b.ranks, sizes);
    });
    add('lower', (rec) => this.recordPass(rec, masks, (g) => layout.adapter.store.gradOf(layout.banks.get(g)!.rowScale), false), true);
    add(
      'upper',
      (rec) => {
        this.recordPass(rec, masks, (g) => unused.get(g)!, true);
        for (const [g, b] of layout.banks) {
          const grad = { experts: layout.upper.gradOf(b.experts), ranks: layout.upper.gradOf(b.ranks) };
          gsvGradients(rec, b.group, masks.get(g)!, b, grad);
        }
      },
      true,
    );
    add('lowerUpdate', (rec) => adamw(rec, { ...lower, halt }, statistics));
    add('upperUpdate', (rec) => adamw(rec, { ...upper, halt }, statistics, UPPER_ADAMW));
    if (order === 'first-order') {
      add('before', (rec) => {
        rec.copy(statistics, this.kept);
        rec.clear(statistics);
      });
      add('after', (rec) => {
        rec.copy(statistics, this.noted);
        rec.copy(this.kept, statistics);
      });
      return made;
    }
    const kept = { w: this.state('kept w', layout.adapter.store.size), grad: this.state('kept gradient', layout.adapter.store.size) };
    const [base, plus] = [this.state('G at w′', layout.upper.size), this.state('G at w + εv', layout.upper.size)];
    add('save', (rec) => {
      rec.copy(statistics, this.kept);
      rec.copy(lower.value, kept.w);
      rec.copy(lower.grad, kept.grad);
      rec.clear(lower.grad);
    });
    // w′ = w − ξ ∇L(b1; w), and room for v.
    add('virtual', (rec) => {
      axpy(rec, lower.grad, lower.value, -1, 'xi', statistics);
      rec.clear(lower.grad);
    });
    // v is in the lower gradient, ∇_a L(b2; w′) in the upper one: to w + εv.
    add('perturb', (rec) => {
      rec.copy(statistics, this.noted);
      rec.copy(upper.grad, base);
      rec.clear(upper.grad);
      globalNorm(rec, lower.grad, statistics, halt);
      rec.copy(kept.w, lower.value);
      axpy(rec, lower.grad, lower.value, 1, 'epsilon', statistics);
    });
    // ∇_a L(b1; w + εv) is in the upper gradient: to w − εv.
    add('across', (rec) => {
      rec.copy(upper.grad, plus);
      rec.clear(upper.grad);
      globalNorm(rec, lower.grad, statistics, halt);
      rec.copy(kept.w, lower.value);
      axpy(rec, lower.grad, lower.value, -1, 'epsilon', statistics);
    });
    // G = base − ξ (plus − minus) / 2ε, and w and the accumulated gradient as they were, bit for bit.
    add('finish', (rec) => {
      globalNorm(rec, lower.grad, statistics, halt);
      axpy(rec, plus, base, -1, 'difference', statistics);
      axpy(rec, upper.grad, base, 1, 'difference', statistics);
      rec.copy(base, upper.grad);
      rec.copy(kept.w, lower.value);
      rec.copy(kept.grad, lower.grad);
      rec.copy(this.kept, statistics);
    });
    return made;
  }

  private recordPass(rec: Recorder, masks: ReadonlyMap<Group, Tensor>, rowGradient: (g: Group) => Tensor, upper: boolean): void {
    const { layout, states, shape, sizes } = this;
    const { adapter } = layout;
    const of = (g: Group) => {
      const { group, rowScale } = layout.banks.get(g)!;
      return { group, rowScale, out: { rowScale: rowGradient(g), masks: masks.get(g)! } };
    };
    const context = {
      store: adapter.store,
      lengths: states.lengths,
      routing: states.routing,
      routedExperts: adapter.routedExperts,
      time: shape.time,
      dropout: false,
      search: { sizes, of, upper },
    };
    recordLoss(rec, this.model, shape, states, { layout: adapter, context });
    searchBalance(rec, states.routing, sizes, layout.sites, layout.experts, states.statistics);
    rec.backward();
  }

  private replay(name: Name, batch?: MicroBatch, scalars: StepScalars = {}, optimizer?: AdamW): void {
    const { gpu } = this.model;
    if (batch)
      for (const key of ['ids', 'lengths', 'index', 'targets'] as const) writeBuffer(gpu, this.memory.get(this.states[key]), batch[key]);
    gpu.device.queue.writeBuffer(this.memory.step, 0, stepBytes(scalars, optimizer));
    const program = this.programs.get(name);
    invariant(program, `the search has no program ${name}`);
    program.replay();
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
   * The upper gradient G of a pair of micro-batches, added to the upper gradient; w, the lower gradient and all moments stay as they are.
   * @param xi ξ, the learning rate of the coming lower update
   * @param balance the balance coefficient, part of the lower gradients at w and w′
   */
  hypergradient(b1: MicroBatch, b2: MicroBatch, order: Order, xi: number, balance: number): void {
    const alone = (b: MicroBatch): StepScalars => ({ inverseTokens: 1 / b.lossTokens });
    if (order === 'first-order') {
      this.replay('before');
      this.replay('upper', b2, alone(b2));
      this.replay('after');
      return;
    }
    const scale = { learningRate: xi };
    this.replay('save');
    this.replay('lower', b1, { ...alone(b1), balanceScale: balance });
    this.replay('virtual', undefined, scale);
    this.replay('lower', b2, { ...alone(b2), balanceScale: balance });
    // The upper loss is that of the pass at w′.
    this.clearStatistics();
    this.replay('upper', b2, alone(b2));
    this.replay('perturb', undefined, scale);
    this.replay('upper', b1, alone(b1));
    this.replay('across', undefined, scale);
    this.replay('upper', b1, alone(b1));
    this.replay('finish', undefined, scale);
  }

  /** The upper optimizer's update, and the sizes that follow from it. `step` counts from 1. */
  upperUpdate(learningRate: number, step: number): void {
    this.replay('upperUpdate', undefined, { learningRate, number: step }, UPPER_ADAMW);
    this.replay('sizes');
  }

  private async read(t: Tensor): Promise<Float32Array> {
    const buffer = this.memory.get(t);
    return new Float32Array(await readBuffer(this.model.gpu, buffer, 0, buffer.size, this.staging));
  }

  /** Reads the lower level's statistics and zeroes them. */
  async readStatistics(): Promise<Float32Array> {
    const values = await this.read(this.states.statistics);
    this.clearStatistics();
    return values;
  }

  /** Statistics of the last upper step: of the pass that gives ∇_a L(b2), its balance loss counted though it moves no GSV. */
  readUpperStatistics(): Promise<Float32Array> {
    return this.read(this.noted);
  }

  private clearStatistics(): void {
    writeBuffer(this.model.gpu, this.memory.get(this.states.statistics), new Float32Array(STATISTICS.size));
  }

  /** Frees programs and states; the stores stay. */
  destroy(): void {
    for (const p of this.programs.values()) p.destroy();
    this.memory.destroy();
    this.staging.destroy();
  }
}
