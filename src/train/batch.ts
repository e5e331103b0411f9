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

/** Sizes of a program: its rows and their tokens, and loss-carrying tokens at most. */
export interface BatchShape {
  rows: number;
  seqLen: number;
  targets: number;
  /** Tokens in the longest document; by default `seqLen`. */
  longest?: number;
}

/**
 * Shapes of a stage's programs. The rows of a micro-batch lie end to end in one program row, of the
 * first shape that holds them, so that next to nothing is computed for padding. Those of an
 * evaluation lie apart, so that no result depends on the rows beside it, to the last bit.
 */
export interface BatchShapes {
  /** From small to large. */
  micro: readonly BatchShape[];
  evaluation: BatchShape;
  /** Share of padding in what the micro-batches compute. */
  padding: number;
}

/** One shape for all programs; the caller fills it, so there is no padding. */
export const alike = (shape: BatchShape): BatchShapes => ({
  micro: [shape],
  evaluation: shape,
  padding: 0,
});

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
  /** Real tokens of each program row. */
  lengths: Uint32Array<ArrayBuffer>;
  /** Position of each token in its document; 0 for padding, which sees itself alone. */
  positions: Uint32Array<ArrayBuffer>;
  /** Each token's row number and its position there, which key the dropout mask. */
  places: Uint32Array<ArrayBuffer>;
  /**
   * Positions (row·seqLen + t) whose logits predict a trained token, padded with NO_ROW; and the
   * tokens, padded with NO_TARGET.
   */
  index: Uint32Array<ArrayBuffer>;
  targets: Uint32Array<ArrayBuffer>;
  lossTokens: number;
  tokens: number;
  /** Shape of the program that runs it. */
  shape: BatchShape;
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

/** Total tokens of rows. */
export const tokensIn = (rows: readonly Row[]): number =>
  rows.reduce((sum, row) => sum + row.ids.length, 0);

/**
 * Lays rows of token ids and labels (−100: no loss) out as a micro-batch: each in a program row, or
 * all in the only one; missing rows are empty. Logits at t predict labels[t + 1] of the same
 * document.
 */
export function microBatch(rows: readonly Row[], shape: BatchShape): MicroBatch {
  const endToEnd = shape.rows === 1;
  invariant(endToEnd || rows.length <= shape.rows, 'more rows than the program has');
  const ids = new Uint32Array(shape.rows * shape.seqLen);
  const lengths = new Uint32Array(shape.rows);
  const positions = new Uint32Array(shape.rows * shape.seqLen);
  const places = new Uint32Array(2 * shape.rows * shape.seqLen);
  const index = new Uint32Array(shape.targets).fill(NO_ROW);
  const targets = new Uint32Array(shape.targets).fill(NO_TARGET);
  let count = 0;
  let tokens = 0;
  rows.forEach((row, r) => {
    const first = endToEnd ? tokens : r * shape.seqLen;
    const inRow = (endToEnd ? tokens : 0) + row.ids.length;
    invariant(inRow <= shape.seqLen, 'rows are longer than the program');
    lengths[endToEnd ? 0 : r] = inRow;
    tokens += row.ids.length;
    for (let t = 0; t < row.ids.length; t++) {
      const at = first + t;
      ids[at] = row.ids[t];
      places.set([r, t], 2 * at);
      positions[at] = positionOf(row, t);
      if (positions[at] === 0 || row.labels[t] < 0) continue;
      invariant(count < shape.targets, 'more loss-carrying tokens than the program has room for');
      index[count] = at - 1;
      targets[count++] = row.labels[t];
    }
  });
  return { ids, lengths, positions, places, index, targets, lossTokens: count, tokens, shape };
}

/** As `microBatch`, end to end in the first of the shapes that holds the rows. */
export function joinedBatch(rows: readonly Row[], shapes: readonly BatchShape[]): MicroBatch {
  const [tokens, targets] = [tokensIn(rows), rows.reduce((sum, row) => sum + lossTokens(row), 0)];
  const shape = shapes.find((s) => s.rows * s.seqLen >= tokens && s.targets >= targets);
  invariant(shape, 'no program holds these rows');
  return microBatch(rows, shape);
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
  (typeof INPUTS)[number] | 'statistics' | 'routing' | 'halt',
  Tensor
>;

const INPUTS = ['ids', 'lengths', 'positions', 'places', 'index', 'targets'] as const;

/** Elements of a batch's inputs. */
const inputSizes = ({ rows, seqLen, targets }: BatchShape) => ({
  ids: rows * seqLen,
  lengths: rows,
  positions: rows * seqLen,
  places: 2 * rows * seqLen,
  index: targets,
  targets,
});

/** The states of a batch of any of these shapes, symbolic; `experts`: routed experts in all. */
export function batchStates({ micro, evaluation }: BatchShapes, experts: number): BatchStates {
  const state = (name: string, size: number, dtype: 'u32' | 'f32') =>
    tensor(name, [size], { kind: 'state', dtype });
  const sizes = [...micro, evaluation].map(inputSizes);
  const input = (name: (typeof INPUTS)[number]) =>
    state(name, Math.max(...sizes.map((s) => s[name])), 'u32');
  return {
    ids: input('ids'),
    lengths: input('lengths'),
    positions: input('positions'),
    places: input('places'),
    index: input('index'),
    targets: input('targets'),
    statistics: state('statistics', STATISTICS.size, 'f32'),
    routing: state('routing', routingSize(experts), 'f32'),
    halt: state('halt', 1, 'u32'),
  };
}

/** Views of the states with the sizes of one shape. */
export function statesFor(states: BatchStates, shape: BatchShape): BatchStates {
  const sizes = inputSizes(shape);
  const seen = INPUTS.map((name) => [
    name,
    { ...states[name], shape: [sizes[name]], within: states[name] },
  ]);
  return { ...states, ...Object.fromEntries(seen) };
}

/** Writes a micro-batch's inputs into its states. */
export function writeBatch(memory: ProgramMemory, states: BatchStates, batch: MicroBatch): void {
  for (const key of INPUTS) writeBuffer(memory.gpu, memory.get(states[key]), batch[key]);
}

/**
 * Options that trade time for memory: what the backward pass recomputes, and rows of logits at a
 * time. Results stay bit-identical.
 */
export interface MemoryOptions {
  recompute: Recompute;
  logitsChunkRows: number;
}

/** Recompute nothing. */
export const DEFAULT_MEMORY_OPTIONS: MemoryOptions = { recompute: 'none', logitsChunkRows: 128 };

/** Most logits held at once: 128 rows of a vocabulary of 49,152. */
const MOST_LOGITS = 128 * 49152;

/**
 * How many logits to compute at once. If a vocabulary leaves room for fewer than 32 rows, it is
 * processed in windows of 49,152 columns, which computes the head's product twice.
 * @param rows at most
 */
export function logitsAtOnce(rows: number, vocab: number, maxBinding: number): AtOnce {
  const columns = 32 * vocab <= MOST_LOGITS ? vocab : MOST_LOGITS / 128;
  const bound = Math.floor(Math.min(MOST_LOGITS, maxBinding / 4) / columns);
  return { rows: Math.max(1, Math.min(rows, bound)), columns };
}

/**
 * Records the decoder and the loss of a batch of this shape in `states`, without the backward pass.
 * Returns the losses (targets).
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
  const { rows: count, seqLen, longest = seqLen } = shape;
  const tables = ropeConstants(ropeTables(config, longest), config.headDim);
  const span = { rows: count, seqLen, positions: states.positions, longest };
  const x = decoder(rec, { config, weights, ids: states.ids, span, tables, adapter, recompute });
  const rows = rmsNorm(rec, gatherRows(rec, x, states.index), weights.norm, config.normEps);
  const atOnce = logitsAtOnce(logitsChunkRows, config.vocab, weights.maxBinding);
  return headCrossEntropy(rec, rows, weights.head, states.targets, states.statistics, atOnce);
}
