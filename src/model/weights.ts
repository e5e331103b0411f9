// A decoder's frozen weights: which tensors a configuration has, and their upload, packed as they
// are stored.

import { INPUT_GROUPS } from '../adapters/layout.ts';
import type { Linear } from '../adapters/project.ts';
import { siteDims, sitePath, type Target } from '../allocation/allocation.ts';
import { blockTypeOf } from '../data/weights/gguf.ts';
import { asF32, type TensorEntry } from '../data/weights/safetensors.ts';
import { tensorPieces } from '../data/weights/tensor-pieces.ts';
import { idle, tooWide, writeBuffer } from '../gpu/buffers.ts';
import type { ProgramMemory } from '../graph/program.ts';
import { ALIGN, bytesOf, type Dtype, startOf, type Tensor, tensor } from '../graph/tensor.ts';
import { alignBlocks, isBlockType } from '../util/blocks.ts';
import { InputError } from '../util/error.ts';
import type { ModelConfig } from './config.ts';

/** Whether a tensor's size keeps the next one aligned. */
const isAligned = (t: Tensor): boolean => bytesOf(t) % (4 * ALIGN) === 0;

/** The weights of one layer. */
export interface LayerWeights {
  inputNorm: Tensor;
  postNorm: Tensor;
  linears: Record<Target, Linear>;
  qNorm?: Tensor;
  kNorm?: Tensor;
}

/**
 * The weights of a decoder, symbolic. Embedding and head are shards of rows that follow each other,
 * each of which fits in one binding.
 */
export interface ModelWeights {
  embedding: readonly Tensor[];
  layers: LayerWeights[];
  norm: Tensor;
  head: readonly Tensor[];
  /** All of them, each once. */
  all: Tensor[];
  /** Bytes that one binding may have. */
  maxBinding: number;
}

/**
 * Shards have a multiple of this many rows, so that their products can be read and written by
 * fours.
 */
const SHARD_ROWS = 64;

/**
 * Lays weights of one dtype out back to back in a shared buffer, so that one product can read them
 * all, if a single binding holds the buffer and every weight starts at an aligned offset.
 */
function together(weights: readonly Tensor[], maxBinding: number): Tensor[] {
  const buffers = new Map<Dtype, { within: Tensor; rows: number }>();
  for (const dtype of new Set(weights.map((t) => t.dtype))) {
    const same = weights.filter((t) => t.dtype === dtype);
    const rows = same.reduce((sum, t) => sum + t.shape[0], 0);
    const shape = [rows, ...same[0].shape.slice(1)];
    const within = tensor(same.map((t) => t.name).join(' '), shape, { kind: 'weight', dtype });
    if (same.length > 1 && same.every(isAligned) && bytesOf(within) <= maxBinding)
      buffers.set(dtype, { within, rows: 0 });
  }
  return weights.map((t) => {
    const buffer = buffers.get(t.dtype);
    if (!buffer) return t;
    const offset = buffer.rows * (t.shape[1] ?? 1);
    buffer.rows += t.shape[0];
    return { ...t, within: buffer.within, offset };
  });
}

/**
 * The weights that a configuration asks for.
 * @param dtypeOf tells how a matrix is stored; vectors are f32
 * @param maxBinding bytes that one binding may have, and so a shard of the embedding or head
 */
export function symbolicWeights(
  config: ModelConfig,
  dtypeOf: (name: string) => Dtype,
  maxBinding = Number.POSITIVE_INFINITY,
): ModelWeights {
  const all: Tensor[] = [];
  const weight = (name: string, shape: number[], offset = 0): Tensor => {
    const dtype = shape.length === 2 && shape[1] % 2 === 0 ? dtypeOf(name) : 'f32';
    return tensor(name, shape, { kind: 'weight', dtype, offset });
  };
  const add = (...of: Parameters<typeof weight>): Tensor => {
    const t = weight(...of);
    all.push(t);
    return t;
  };
  const table = (name: string): Tensor[] => {
    const { vocab, hidden } = config;
    const rowBytes =
      bytesOf(
        tensor(name, [SHARD_ROWS, hidden], { dtype: hidden % 2 === 0 ? dtypeOf(name) : 'f32' }),
      ) / SHARD_ROWS;
    const fit = Math.floor(maxBinding / rowBytes);
    const rows = fit >= vocab ? vocab : Math.max(SHARD_ROWS, fit - (fit % SHARD_ROWS));
    const shards = Math.ceil(vocab / rows);
    return Array.from({ length: shards }, (_, i) =>
      add(name, [Math.min(rows, vocab - i * rows), hidden], i * rows * hidden),
    );
  };
  const { hidden, headDim } = config;
  const dims = siteDims(config);
  const biased = (t: Target): boolean =>
    t === 'o_proj'
      ? config.outputBias
      : t === 'q_proj' || t === 'k_proj' || t === 'v_proj'
        ? config.qkvBias
        : config.mlpBias;
  const embedding = table('model.embed_tokens.weight');
  const layers = Array.from({ length: config.layers }, (_, layer): LayerWeights => {
    const prefix = `model.layers.${layer}`;
    const linears = INPUT_GROUPS.flatMap((targets) => {
      const name = (t: Target, what: string) => `${sitePath(layer, t)}.${what}`;
      const shape = (t: Target) => [dims[t].outputs, dims[t].inputs];
      const weights = together(
        targets.map((t) => weight(name(t, 'weight'), shape(t))),
        maxBinding,
      );
      const biases = together(
        targets.filter(biased).map((t) => weight(name(t, 'bias'), [dims[t].outputs])),
        maxBinding,
      );
      all.push(...weights, ...biases);
      return targets.map((target, i): [Target, Linear] => {
        const bias = biases.find((b) => b.name === name(target, 'bias'));
        return [target, { target, weight: weights[i], bias }];
      });
    });
    return {
      inputNorm: add(`${prefix}.input_layernorm.weight`, [hidden]),
      postNorm: add(`${prefix}.post_attention_layernorm.weight`, [hidden]),
      linears: Object.fromEntries(linears) as Record<Target, Linear>,
      qNorm: config.qkNorm ? add(`${prefix}.self_attn.q_norm.weight`, [headDim]) : undefined,
      kNorm: config.qkNorm ? add(`${prefix}.self_attn.k_norm.weight`, [headDim]) : undefined,
    };
  });
  const norm = add('model.norm.weight', [hidden]);
  const head = config.tiedHead ? embedding : table('lm_head.weight');
  return { embedding, layers, norm, head, all, maxBinding };
}

const PLAIN: Partial<Record<string, Dtype>> = { F32: 'f32', F16: 'f16', BF16: 'bf16' };

/**
 * Weights as a checkpoint stores them, in shards of at most `maxBinding` bytes; refuses missing
 * tensors and wrong shapes by name.
 */
export function checkpointWeights(
  config: ModelConfig,
  entries: ReadonlyMap<string, TensorEntry>,
  where: string,
  maxBinding?: number,
): ModelWeights {
  const storedType = (entry: TensorEntry | undefined): Dtype | undefined =>
    entry &&
    (PLAIN[entry.dtype] ?? (entry.shape.length === 2 ? blockTypeOf(entry.dtype) : undefined));
  const weights = symbolicWeights(
    config,
    (name) => storedType(entries.get(name)) ?? 'f32',
    maxBinding,
  );
  const tables = new Set([...weights.embedding, ...weights.head]);
  for (const t of weights.all) {
    const entry = entries.get(t.name);
    if (!entry)
      throw new InputError(
        'bad-model',
        `${where}: the tensor ${t.name} is missing, but the configuration requires it.`,
      );
    const shape = tables.has(t) ? [config.vocab, config.hidden] : t.shape;
    if (entry.shape.join() !== shape.join()) {
      throw new InputError(
        'bad-model',
        `${where}: ${t.name} has shape [${entry.shape.join(', ')}], but the configuration makes it [${shape.join(', ')}].`,
      );
    }
    if (!storedType(entry))
      throw new InputError(
        'bad-model',
        `${where}: ${t.name} is ${entry.dtype}; only F32, F16, BF16 and, for matrices, GGUF's blocks can be read.`,
      );
  }
  return weights;
}

/**
 * Bytes handed to the queue before the device is waited for, so that they do not pile up on the way
 * to it.
 */
const IN_FLIGHT = 32 * 2 ** 20;

/**
 * Uploads weights in pieces of a few MiB, so that no copy of a tensor exists in memory. Matrices
 * stay packed as they are stored.
 * @param onProgress bytes done and in all; may throw to stop
 */
export async function uploadWeights(
  memory: ProgramMemory,
  weights: ModelWeights,
  entries: ReadonlyMap<string, TensorEntry>,
  onProgress?: (done: number, total: number) => void,
): Promise<void> {
  const { gpu } = memory;
  const total = weights.all.reduce((a, t) => a + bytesOf(t), 0);
  let done = 0;
  let waited = 0;
  onProgress?.(done, total);
  for (const t of weights.all) {
    const entry = entries.get(t.name)!;
    if (bytesOf(t) > gpu.maxBinding) throw tooWide(t.name, bytesOf(t), gpu);
    const buffer = memory.allocate(t, 'weights');
    const width = t.shape[1] ?? 1;
    let at = startOf(t);
    const first = t.within ? 0 : t.offset / width;
    for await (const piece of tensorPieces(entry, first, t.shape[0])) {
      const data = isBlockType(t.dtype)
        ? alignBlocks(t.dtype, piece)
        : t.dtype === 'f32'
          ? asF32(entry.dtype, piece)
          : piece;
      writeBuffer(gpu, buffer, data, at);
      at += data.byteLength;
      done += data.byteLength;
      if (done - waited > IN_FLIGHT) {
        await idle(gpu.device.queue.onSubmittedWorkDone().then(() => undefined));
        waited = done;
      }
      onProgress?.(done, total);
    }
  }
  gpu.check();
}
