// A model with an adapter on a device: the states that programs share, and the programs of a training run.
import type { AdapterLayout } from '../adapters/layout.ts';
import { createStaging, readBuffer, writeBuffer } from '../gpu/buffers.ts';
import { plan } from '../graph/plan.ts';
import { Memory, Program } from '../graph/program.ts';
import { Recorder } from '../graph/recorder.ts';
import { type Tensor, tensor } from '../graph/tensor.ts';
import { decoder, type Recompute, ropeConstants } from '../model/decoder.ts';
import type { LoadedModel } from '../model/load.ts';
import { ropeTables } from '../model/rope.ts';
import { balance } from '../ops/adapter.ts';
import { gatherRows, NO_ROW } from '../ops/embed.ts';
import { headCrossEntropy, NO_TARGET, STATISTICS } from '../ops/loss.ts';
import { rmsNorm } from '../ops/norm.ts';
import { adamw } from '../ops/optim.ts';
import { invariant } from '../util/error.ts';

/** Sizes of a run's programs: rows and tokens a micro-batch, and loss-carrying tokens of one at most. */
export interface BatchShape {
  rows: number;
  time: number;
  targets: number;
}

/** A micro-batch on the host. */
export interface MicroBatch {
  ids: Uint32Array<ArrayBuffer>;
  lengths: Uint32Array<ArrayBuffer>;
  /** Positions (row·time + t) whose logits predict a trained token, padded with NO_ROW; and the tokens, padded with NO_TARGET. */
  index: Uint32Array<ArrayBuffer>;
  targets: Uint32Array<ArrayBuffer>;
  lossTokens: number;
  tokens: number;
}

/** Scalars of a step, as shaders/lib/step.wgsl names them. */
export interface StepScalars {
  learningRate?: number;
  weightDecay?: number;
  clipNorm?: number;
  inverseTokens?: number;
  balanceScale?: number;
  dropout?: number;
  seed?: number;
  number?: number;
  micro?: number;
}

/** Lays rows of token ids and labels (−100: no loss) out as a micro-batch; missing rows are empty. Logits at t predict labels[t + 1]. */
export function microBatch(rows: readonly { ids: ArrayLike<number>; labels: ArrayLike<number> }[], shape: BatchShape): MicroBatch {
  invariant(rows.length <= shape.rows, 'more rows than the program has');
  const ids = new Uint32Array(shape.rows * shape.time);
  const lengths = new Uint32Array(shape.rows);
  const index = new Uint32Array(shape.targets).fill(NO_ROW);
  const targets = new Uint32Array(shape.targets).fill(NO_TARGET);
  let count = 0;
  let tokens = 0;
  rows.forEach((row, r) => {
    invariant(row.ids.length <= shape.time, 'a row is longer than the program');
    lengths[r] = row.ids.length;
    tokens += row.ids.length;
    for (let t = 0; t < row.ids.length; t++) {
      ids[r * shape.time + t] = row.ids[t];
      if (t === 0 || row.labels[t] < 0) continue;
      invariant(count < shape.targets, 'more loss-carrying tokens than the program has room for');
      index[count] = r * shape.time + t - 1;
      targets[count++] = row.labels[t];
    }
  });
  return { ids, lengths, index, targets, lossTokens: count, tokens };
}

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
  private readonly states: Record<'ids' | 'lengths' | 'start' | 'index' | 'targets' | 'statistics' | 'routing' | 'halt', Tensor>;
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
    const experts = layout?.routedExperts ?? 0;
    const state = (name: string, size: number, dtype: 'u32' | 'f32') => {
      const t = tensor(name, [size], { kind: 'state', dtype });
      this.memory.allocate(t);
      return t;
    };
    this.states = {
      ids: state('ids', shape.rows * shape.time, 'u32'),
      lengths: state('lengths', shape.rows, 'u32'),
      start: state('start', shape.rows, 'u32'),
      index: state('index', shape.targets, 'u32'),
      targets: state('targets', shape.targets, 'u32'),
      statistics: state('statistics', STATISTICS.size, 'f32'),
      routing: state('routing', 2 * experts + 1, 'f32'),
      halt: state('halt', 1, 'u32'),
    };
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
    runtime.programs.evaluate = await compile(runtime.recordForward(new Recorder(model.variants, false), { dropout: false }).rec);
    return runtime;
  }

  private recordForward(rec: Recorder, options: RuntimeOptions): { rec: Recorder; rows: Tensor } {
    const { model, layout, shape, states } = this;
    const { config, weights } = model;
    const tables = ropeConstants(ropeTables(config, shape.time), config.headDim);
    const { lengths, routing } = states;
    const adapter = layout && {
      layout,
      context: { store: layout.store, lengths, routing, routedExperts: layout.routedExperts, time: shape.time, dropout: options.dropout },
    };
    const span = { rows: shape.rows, time: shape.time, start: states.start };
    const x = decoder(rec, { config, weights, ids: states.ids, span, tables, adapter, recompute: options.recompute });
    const rows = rmsNorm(rec, gatherRows(rec, x, states.index), weights.norm, config.normEps);
    headCrossEntropy(rec, rows, weights.head, states.targets, states.statistics);
    return { rec, rows };
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
    const bytes = new DataView(new ArrayBuffer(64));
    const t = s.number ?? 0;
    const floats = [s.learningRate, s.weightDecay, s.clipNorm, s.inverseTokens, s.balanceScale, 1 - 0.9 ** t, 1 - 0.999 ** t, s.dropout];
    floats.forEach((v, i) => {
      bytes.setFloat32(i * 4, v ?? 0, true);
    });
    [s.seed, s.number, s.micro].forEach((v, i) => {
      bytes.setUint32(32 + i * 4, v ?? 0, true);
    });
    this.model.gpu.device.queue.writeBuffer(this.memory.step, 0, bytes.buffer);
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
