// A batch on its way to the device: its shape, its layout on the host, the states that hold it, the step's scalars, and the recorded loss.
import type { AdapterContext } from '../adapters/adapter.ts';
import type { AdapterLayout } from '../adapters/layout.ts';
import type { Memory } from '../graph/program.ts';
import type { Recorder } from '../graph/recorder.ts';
import { type Tensor, tensor } from '../graph/tensor.ts';
import { decoder, type Recompute, ropeConstants } from '../model/decoder.ts';
import type { LoadedModel } from '../model/load.ts';
import { ropeTables } from '../model/rope.ts';
import { gatherRows, NO_ROW } from '../ops/embed.ts';
import { headCrossEntropy, NO_TARGET, STATISTICS } from '../ops/loss.ts';
import { rmsNorm } from '../ops/norm.ts';
import { ADAMW, type AdamW } from '../ops/optim.ts';
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

/** Bytes of the step uniform (shaders/lib/step.wgsl); scalars left out are 0. */
export function stepBytes(s: StepScalars, { beta1, beta2 }: AdamW = ADAMW): ArrayBuffer {
  const bytes = new DataView(new ArrayBuffer(64));
  const t = s.number ?? 0;
  const floats = [s.learningRate, s.weightDecay, s.clipNorm, s.inverseTokens, s.balanceScale, 1 - beta1 ** t, 1 - beta2 ** t, s.dropout];
  floats.forEach((v, i) => {
    bytes.setFloat32(i * 4, v ?? 0, true);
  });
  [s.seed, s.number, s.micro].forEach((v, i) => {
    bytes.setUint32(32 + i * 4, v ?? 0, true);
  });
  return bytes.buffer;
}

/** The states of a batch and of what is counted on it. */
export type BatchStates = Record<'ids' | 'lengths' | 'start' | 'index' | 'targets' | 'statistics' | 'routing' | 'halt', Tensor>;

/** Allocates the states of a batch shape; `experts`: routed experts in all. */
export function batchStates(memory: Memory, shape: BatchShape, experts: number): BatchStates {
  const state = (name: string, size: number, dtype: 'u32' | 'f32') => {
    const t = tensor(name, [size], { kind: 'state', dtype });
    memory.allocate(t);
    return t;
  };
  return {
    ids: state('ids', shape.rows * shape.time, 'u32'),
    lengths: state('lengths', shape.rows, 'u32'),
    start: state('start', shape.rows, 'u32'),
    index: state('index', shape.targets, 'u32'),
    targets: state('targets', shape.targets, 'u32'),
    statistics: state('statistics', STATISTICS.size, 'f32'),
    routing: state('routing', 2 * experts + 1, 'f32'),
    halt: state('halt', 1, 'u32'),
  };
}

/** Records the decoder and the loss of the batch in `states`, without the backward pass. */
export function recordLoss(
  rec: Recorder,
  model: LoadedModel,
  shape: BatchShape,
  states: BatchStates,
  adapter: { layout: AdapterLayout; context: AdapterContext } | null,
  recompute?: Recompute,
): void {
  const { config, weights } = model;
  const tables = ropeConstants(ropeTables(config, shape.time), config.headDim);
  const span = { rows: shape.rows, time: shape.time, start: states.start };
  const x = decoder(rec, { config, weights, ids: states.ids, span, tables, adapter, recompute });
  const rows = rmsNorm(rec, gatherRows(rec, x, states.index), weights.norm, config.normEps);
  headCrossEntropy(rec, rows, weights.head, states.targets, states.statistics);
}
