// A model with an adapter on a device: the states that programs share, and the programs of a training run.
import type { AdapterLayout } from '../adapters/layout.ts';
import { createStaging, readBuffer, writeBuffer } from '../gpu/buffers.ts';
import { plan } from '../graph/plan.ts';
import { Memory, Program } from '../graph/program.ts';
import { Recorder } from '../graph/recorder.ts';
import type { Recompute } from '../model/decoder.ts';
import type { LoadedModel } from '../model/load.ts';
import { balance } from '../ops/adapter.ts';
import { STATISTICS } from '../ops/loss.ts';
import { adamw } from '../ops/optim.ts';
import { type BatchShape, type BatchStates, batchStates, type MicroBatch, recordLoss, type StepScalars, stepBytes } from './batch.ts';

const ACTIVATION_BUDGET = 2 * 2 ** 30;

/** Options of a runtime. */
export interface RuntimeOptions {
  dropout: boolean;
  /** By default the least recomputation whose planned activations fit the budget. It changes no bit. */
  recompute?: Recompute;
  /** Bytes of activations at most, where any policy reaches it; 2 GiB by default. */
  activationBudget?: number;
  /** No `micro` and no `update`. */
  evaluateOnly?: boolean;
  /** false gives every activation a buffer of its own, to bisect aliasing. */
  share?: boolean;
  onProgress?: (done: number, of: number) => void;
}

/** A model, an adapter (or none) and the programs of one batch shape. */
export class Runtime {
  readonly memory: Memory;
  private readonly states: BatchStates;
  private readonly staging: GPUBuffer;
  /** The policy of `micro`. */
  recompute: Recompute = 'none';
  private programs: { micro: Program | null; update: Program | null; evaluate: Program };

  private constructor(
    readonly model: LoadedModel,
    readonly layout: AdapterLayout | null,
    readonly shape: BatchShape,
  ) {
    this.memory = new Memory(model.gpu, layout ? [layout.store] : []);
    for (const t of model.weights.all) this.memory.share(t, model.memory.get(t));
    this.states = batchStates(this.memory, shape, layout?.routedExperts ?? 0);
    this.staging = createStaging(model.gpu, STATISTICS.size * 4);
    this.programs = { micro: null, update: null, evaluate: null as unknown as Program };
  }

  /** Records and compiles: `micro` and `update` where there is an adapter, and `evaluate`. Parameters must be allocated. */
  static async create(model: LoadedModel, layout: AdapterLayout | null, shape: BatchShape, options: RuntimeOptions): Promise<Runtime> {
    const runtime = new Runtime(model, layout, shape);
    const compile = (rec: Recorder) => Program.compile(rec, runtime.memory, { share: options.share, onProgress: options.onProgress });
    if (layout && !options.evaluateOnly) {
      runtime.programs.micro = await compile(runtime.chooseMicro(options));
      runtime.programs.update = await compile(runtime.recordUpdate());
    }
    runtime.programs.evaluate = await compile(runtime.recordForward(new Recorder(model.variants, false), { dropout: false }));
    return runtime;
  }

  private recordForward(rec: Recorder, options: RuntimeOptions): Recorder {
    const { model, layout, shape, states } = this;
    const { lengths, routing } = states;
    const adapter = layout && {
      layout,
      context: { store: layout.store, lengths, routing, routedExperts: layout.routedExperts, time: shape.time, dropout: options.dropout },
    };
    recordLoss(rec, model, shape, states, adapter, options.recompute);
    return rec;
  }

  /** Records `micro` with more and more recomputation until its plan fits the budget. */
  private chooseMicro(options: RuntimeOptions): Recorder {
    const policies: Recompute[] = options.recompute ? [options.recompute] : ['none', 'mlp', 'block'];
    const budget = options.activationBudget ?? ACTIVATION_BUDGET;
    let rec: Recorder;
    do {
      this.recompute = policies.shift()!;
      rec = this.recordMicro({ ...options, recompute: this.recompute });
    } while (policies.length > 0 && plan(rec.commands).slotBytes.reduce((a, b) => a + b, 0) > budget);
    return rec;
  }

  private recordMicro(options: RuntimeOptions): Recorder {
    const rec = new Recorder(this.model.variants, true);
    this.recordForward(rec, options);
    const { layout, states } = this;
    if (layout && layout.routedExperts > 0) balance(rec, states.routing, layout.balanceFactors, states.statistics);
    rec.backward();
    return rec;
  }

  private recordUpdate(): Recorder {
    const rec = new Recorder(this.model.variants, false);
    adamw(rec, { ...this.layout!.store.flat(), halt: this.states.halt }, this.states.statistics);
    return rec;
  }

  /** Flops of a micro-step (forward and backward), of an update, and of an evaluation. */
  get flops(): { micro: number; update: number; evaluate: number } {
    const { micro, update, evaluate } = this.programs;
    return { micro: micro?.flops ?? 0, update: update?.flops ?? 0, evaluate: evaluate.flops };
  }

  /** The compiled programs, for the profiler. */
  get compiled(): Readonly<Record<'micro' | 'update', Program | null>> & { evaluate: Program } {
    return this.programs;
  }

  /** Writes the step uniform; scalars left out are 0. */
  writeStep(s: StepScalars): void {
    this.model.gpu.device.queue.writeBuffer(this.memory.step, 0, stepBytes(s));
  }

  /** Writes a micro-batch's inputs. */
  writeBatch(batch: MicroBatch): void {
    for (const key of ['ids', 'lengths', 'index', 'targets'] as const)
      writeBuffer(this.model.gpu, this.memory.get(this.states[key]), batch[key]);
  }

  /** Forward and backward of a micro-batch; adds into the gradients and the statistics. */
  micro(batch: MicroBatch, scalars: StepScalars, flopsPerSubmit?: number): void {
    this.writeBatch(batch);
    this.writeStep(scalars);
    this.programs.micro!.replay({ flopsPerSubmit });
  }

  /** Clip and AdamW; zeroes the gradients. */
  update(scalars: StepScalars): void {
    this.writeStep(scalars);
    this.programs.update!.replay();
  }

  /** Forward only; adds into the statistics. */
  evaluate(batch: MicroBatch, flopsPerSubmit?: number): void {
    this.writeBatch(batch);
    this.writeStep({});
    this.programs.evaluate.replay({ flopsPerSubmit });
  }

  /** The buffers of statistics and routing, to copy from. */
  get statistics(): { statistics: GPUBuffer; routing: GPUBuffer } {
    return { statistics: this.memory.get(this.states.statistics), routing: this.memory.get(this.states.routing) };
  }

  /** Reads the statistics and zeroes them. Waits for the work before. */
  async readStatistics(): Promise<Float32Array> {
    const { statistics } = this.statistics;
    const values = new Float32Array(await readBuffer(this.model.gpu, statistics, 0, statistics.size, this.staging));
    this.clearStatistics();
    return values;
  }

  /** Zeroes the statistics. */
  clearStatistics(): void {
    writeBuffer(this.model.gpu, this.statistics.statistics, new Float32Array(STATISTICS.size));
  }

  /** Frees the runtime's own buffers; weights and parameters stay. */
  destroy(): void {
    for (const p of Object.values(this.programs)) p?.destroy();
    this.memory.destroy();
    this.staging.destroy();
  }
}
