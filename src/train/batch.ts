// A batch, from rows to the device: its shape, its layout on the host, the states that hold it, the
// step's scalars, and the recorded loss.
import type { Adapter } from '../adapters/project.ts';
import { writeBuffer } from '../gpu/buffers.ts';
import { packStep } from '../gpu/kernel.ts';
import type { ProgramMemory } from '../graph/program.ts';
import type { Recorder } from '../graph/recorder.ts';
import { type Tensor, tensor } from '../graph/tensor.ts';
import { decoder, type Recompute, ropeConstants } from '../model/decoder.ts';
import type { SymbolicModel } from '../model/load.ts';
import { ropeTables } from '../model/rope.ts';
import { routingSize } from '../ops/adapter.ts';
import { gatherRows, NO_ROW } from '../ops/embed.ts';
import { type AtOnce, headCrossEntropy, NO_TARGET, STATISTICS } from '../ops/loss.ts';
import { rmsNorm } from '../ops/norm.ts';
import { ADAMW, type AdamW } from '../ops/optim.ts';
import { invariant } from '../util/error.ts';

/**
 * Sizes of a run's programs: rows and tokens a micro-batch, and loss-carrying tokens of one at
 * most.
 */
export interface BatchShape {
  rows: number;
  seqLen: number;
  targets: number;
}

/** A row to train on: labels aligned with ids, negative where no loss is carried. */
export interface Row {
  ids: ArrayLike<number>;
  labels: ArrayLike<number>;
  /**
   * Of a packed row: place of each token in its document, from 0; by default the row is one
   * document.
   */
  positions?: ArrayLike<number>;
  /** Of the data, where it comes from one. */
  file?: string;
}

/** A micro-batch on the host. */
export interface MicroBatch {
  ids: Uint32Array<ArrayBuffer>;
  lengths: Uint32Array<ArrayBuffer>;
  /** Position of each token in its document; 0 for padding, which sees itself alone. */
  positions: Uint32Array<ArrayBuffer>;
  /**
   * Positions (row·seqLen + t) whose logits predict a trained token, padded with NO_ROW; and the
   * tokens, padded with NO_TARGET.
   */
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

/** Position of a row's token in its document. */
const positionOf = ({ positions }: Row, t: number): number => positions?.[t] ?? t;

/**
 * Tokens of a row that carry loss: those with a label, a document's first one left out, which
 * nothing predicts.
 */
export function lossTokens(row: Row): number {
  let count = 0;
  for (let t = 0; t < row.ids.length; t++)
    if (row.labels[t] >= 0 && positionOf(row, t) > 0) count++;
  return count;
}

/**
 * Lays rows of token ids and labels (−100: no loss) out as a micro-batch; missing rows are empty.
 * Logits at t predict labels[t + 1] of the same document.
 */
export function microBatch(rows: readonly Row[], shape: BatchShape): MicroBatch {
  invariant(rows.length <= shape.rows, 'more rows than the program has');
  const ids = new Uint32Array(shape.rows * shape.seqLen);
  const lengths = new Uint32Array(shape.rows);
  const positions = new Uint32Array(shape.rows * shape.seqLen);
  const index = new Uint32Array(shape.targets).fill(NO_ROW);
  const targets = new Uint32Array(shape.targets).fill(NO_TARGET);
  let count = 0;
  let tokens = 0;
  rows.forEach((row, r) => {
    invariant(row.ids.length <= shape.seqLen, 'a row is longer than the program');
    lengths[r] = row.ids.length;
    tokens += row.ids.length;
    for (let t = 0; t < row.ids.length; t++) {
      const at = r * shape.seqLen + t;
      ids[at] = row.ids[t];
      positions[at] = positionOf(row, t);
      if (positions[at] === 0 || row.labels[t] < 0) continue;
      invariant(count < shape.targets, 'more loss-carrying tokens than the program has room for');
      index[count] = at - 1;
      targets[count++] = row.labels[t];
    }
  });
  return { ids, lengths, positions, index, targets, lossTokens: count, tokens };
}

/** Tokens of several micro-batches: those that carry loss, and all but padding. */
export const tokensOf = (batches: readonly MicroBatch[]) => ({
  lossTokens: batches.reduce((sum, b) => sum + b.lossTokens, 0),
  tokens: batches.reduce((sum, b) => sum + b.tokens, 0),
});

/** Bytes of the step uniform; scalars left out are 0. */
export function stepBytes(s: StepScalars, { beta1, beta2 }: AdamW = ADAMW): ArrayBuffer {
  const t = s.number ?? 0;
  return packStep({
    learning_rate: s.learningRate,
    weight_decay: s.weightDecay,
    clip_norm: s.clipNorm,
    inverse_tokens: s.inverseTokens,
    balance_scale: s.balanceScale,
    correction1: 1 - beta1 ** t,
    correction2: 1 - beta2 ** t,
    dropout: s.dropout,
    seed: s.seed,
    number: s.number,
    micro: s.micro,
  });
}

/** The states of a batch and of what is counted on it. */
export type BatchStates = Record<
  'ids' | 'lengths' | 'positions' | 'index' | 'targets' | 'statistics' | 'routing' | 'halt',
  Tensor
>;

/** The states of a batch shape, symbolic; `experts`: routed experts in all. */
export function batchStates(shape: BatchShape, experts: number): BatchStates {
  const state = (name: string, size: number, dtype: 'u32' | 'f32') =>
    tensor(name, [size], { kind: 'state', dtype });
  return {
    ids: state('ids', shape.rows * shape.seqLen, 'u32'),
    lengths: state('lengths', shape.rows, 'u32'),
    positions: state('positions', shape.rows * shape.seqLen, 'u32'),
    index: state('index', shape.targets, 'u32'),
    targets: state('targets', shape.targets, 'u32'),
    statistics: state('statistics', STATISTICS.size, 'f32'),
    routing: state('routing', routingSize(experts), 'f32'),
    halt: state('halt', 1, 'u32'),
  };
}

/** Writes a micro-batch's inputs into its states. */
export function writeBatch(memory: ProgramMemory, states: BatchStates, batch: MicroBatch): void {
  for (const key of ['ids', 'lengths', 'positions', 'index', 'targets'] as const)
    writeBuffer(memory.gpu, memory.get(states[key]), batch[key]);
}

/**
 * Options that save memory at the cost of seqLen: what is recomputed in the backward pass, and rows of
 * logits at a time. Results stay bit-identical.
 */
export interface MemoryOptions {
  recompute: Recompute;
  logitsChunkRows: number;
}

/** Recompute nothing. */
export const DEFAULT_MEMORY_OPTIONS: MemoryOptions = { recompute: 'none', logitsChunkRows: 128 };

/** Logits at a time at most: 128 rows of a vocabulary of 49,152. */
const MOST_LOGITS = 128 * 49152;

/**
 * Logits at a time. A vocabulary of which this leaves fewer than 32 rows goes through in windows of
 * 49,152 columns, at the cost of the head's product once more.
 * @param rows at most
 */
export function logitsAtOnce(rows: number, vocab: number, maxBinding: number): AtOnce {
  const columns = 32 * vocab <= MOST_LOGITS ? vocab : MOST_LOGITS / 128;
  const bound = Math.floor(Math.min(MOST_LOGITS, maxBinding / 4) / columns);
  return { rows: Math.max(1, Math.min(rows, bound)), columns };
}

/**
 * Records the decoder and the loss of the batch in `states`, without the backward pass. Returns the
 * losses (targets).
 */
export function recordLoss(
  rec: Recorder,
  model: SymbolicModel,
  shape: BatchShape,
  states: BatchStates,
  adapter: Adapter | null,
  { recompute, logitsChunkRows }: MemoryOptions = DEFAULT_MEMORY_OPTIONS,
): Tensor {
  const { config, weights } = model;
  const tables = ropeConstants(ropeTables(config, shape.seqLen), config.headDim);
  const span = { rows: shape.rows, seqLen: shape.seqLen, positions: states.positions };
  const x = decoder(rec, { config, weights, ids: states.ids, span, tables, adapter, recompute });
  const rows = rmsNorm(rec, gatherRows(rec, x, states.index), weights.norm, config.normEps);
  const atOnce = logitsAtOnce(logitsChunkRows, config.vocab, weights.maxBinding);
  return headCrossEntropy(rec, rows, weights.head, states.targets, states.statistics, atOnce);
}
