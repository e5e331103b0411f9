// A model with an adapter on a device: the states that programs share, and the programs of a
// training run.
import type { AdapterLayout } from '../adapters/layout.ts';
import { createStaging, readBuffer, writeBuffer } from '../gpu/buffers.ts';
import { Memory, Program } from '../graph/program.ts';
import type { Recorder } from '../graph/recorder.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { LoadedModel } from '../model/load.ts';
import { STATISTICS } from '../ops/loss.ts';
import {
  type BatchShape,
  type BatchStates,
  batchStates,
  LAVISH,
  type MicroBatch,
  type StepScalars,
  stepBytes,
  type Thrift,
  writeBatch,
} from './batch.ts';
import { recordEvaluation, recordMicro, recordUpdate } from './programs.ts';

/** Options of a runtime. */
export interface RuntimeOptions {
  dropout: boolean;
  /** By default memory is not saved on. It changes no bit. */
  thrift?: Thrift;
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
  /** Cross-entropy of each target of the last evaluation. */
  private losses: Tensor;
  private programs: { micro: Program | null; update: Program | null; evaluate: Program };

  private constructor(
    readonly model: LoadedModel,
    readonly layout: AdapterLayout | null,
    readonly shape: BatchShape,
  ) {
    this.memory = new Memory(model.gpu, layout ? [layout.store] : []);
    for (const t of model.weights.all) this.memory.share(t, model.memory.get(t));
    this.states = batchStates(shape, layout?.routedExperts ?? 0);
    for (const t of Object.values(this.states)) this.memory.allocate(t);
    this.staging = createStaging(model.gpu, Math.max(STATISTICS.size, shape.targets) * 4);
    this.programs = { micro: null, update: null, evaluate: null as unknown as Program };
    this.losses = this.states.targets;
  }

  /**
   * Records and compiles: `micro` and `update` where there is an adapter, and `evaluate`.
   * Parameters must be allocated.
   */
  static async create(
    model: LoadedModel,
    layout: AdapterLayout | null,
    shape: BatchShape,
    options: RuntimeOptions,
  ): Promise<Runtime> {
    const runtime = new Runtime(model, layout, shape);
    const passes = { model, layout, shape, states: runtime.states };
    const thrift = options.thrift ?? LAVISH;
    const compile = (rec: Recorder) =>
      Program.compile(rec, runtime.memory, {
        share: options.share,
        onProgress: options.onProgress,
      });
    if (layout && !options.evaluateOnly) {
      runtime.programs.micro = await compile(recordMicro(passes, options.dropout, thrift));
      runtime.programs.update = await compile(recordUpdate(model.variants, layout, runtime.states));
    }
    const { rec, losses } = recordEvaluation(passes, thrift);
    runtime.losses = losses;
    runtime.programs.evaluate = await compile(rec);
    return runtime;
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
    writeBatch(this.memory, this.states, batch);
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
    return {
      statistics: this.memory.get(this.states.statistics),
      routing: this.memory.get(this.states.routing),
    };
  }

  /** Reads the statistics and zeroes them. Waits for the work before. */
  async readStatistics(): Promise<Float32Array> {
    const { statistics } = this.statistics;
    const values = new Float32Array(
      await readBuffer(this.model.gpu, statistics, 0, statistics.size, this.staging),
    );
    this.clearStatistics();
    return values;
  }

  /** Cross-entropy (targets) of an evaluation that nothing has followed. Waits for it. */
  async readLosses(): Promise<Float32Array> {
    const buffer = this.programs.evaluate.bufferOf(this.losses);
    return new Float32Array(
      await readBuffer(this.model.gpu, buffer, 0, this.shape.targets * 4, this.staging),
    );
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
