// A decoder's frozen weights: which tensors a configuration has, and their upload, packed as they are stored.

import type { Linear } from '../adapters/adapter.ts';
import { siteDims, sitePath, type Target, targetNames } from '../adapters/allocation.ts';
import { readF32, readTensor, type TensorEntry } from '../data/safetensors.ts';
import { createBuffer, writeBuffer } from '../gpu/buffers.ts';
import type { Memory } from '../graph/program.ts';
import { bytesOf, type Dtype, type Tensor, tensor } from '../graph/tensor.ts';
import { InputError } from '../util/error.ts';
import type { ModelConfig } from './config.ts';

/** The weights of one layer. */
export interface LayerWeights {
  inputNorm: Tensor;
  postNorm: Tensor;
  linears: Record<Target, Linear>;
  qNorm?: Tensor;
  kNorm?: Tensor;
}

/** The weights of a decoder, symbolic. */
export interface ModelWeights {
  embedding: Tensor;
  layers: LayerWeights[];
  norm: Tensor;
  head: Tensor;
  /** All of them, each once. */
  all: Tensor[];
}

const HALF: Partial<Record<string, Dtype>> = { F16: 'f16', BF16: 'bf16' };

/** The weights that a configuration asks for; `dtypeOf` tells how a matrix is stored. Vectors are f32. */
export function symbolicWeights(config: ModelConfig, dtypeOf: (name: string) => Dtype): ModelWeights {
  const all: Tensor[] = [];
  const add = (name: string, shape: number[]): Tensor => {
    const packed = shape.length === 2 && shape[1] % 2 === 0 ? dtypeOf(name) : 'f32';
    const t = tensor(name, shape, { kind: 'weight', dtype: packed });
    all.push(t);
    return t;
  };
  const { hidden, headDim } = config;
  const dims = siteDims(config);
  const biased = (t: Target): boolean =>
    t === 'o_proj' ? config.outputBias : t === 'q_proj' || t === 'k_proj' || t === 'v_proj' ? config.qkvBias : config.mlpBias;
  const embedding = add('model.embed_tokens.weight', [config.vocab, hidden]);
  const layers = Array.from({ length: config.layers }, (_, layer): LayerWeights => {
    const prefix = `model.layers.${layer}`;
    const linears = targetNames.map((target): [Target, Linear] => {
      const path = sitePath(layer, target);
      const { inputs, outputs } = dims[target];
      const weight = add(`${path}.weight`, [outputs, inputs]);
      return [target, { target, weight, bias: biased(target) ? add(`${path}.bias`, [outputs]) : undefined }];
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
  const head = config.tiedHead ? embedding : add('lm_head.weight', [config.vocab, hidden]);
  return { embedding, layers, norm, head, all };
}

/** Weights as a checkpoint stores them; refuses missing tensors and wrong shapes by name. */
export function checkpointWeights(config: ModelConfig, entries: ReadonlyMap<string, TensorEntry>, where: string): ModelWeights {
  const weights = symbolicWeights(config, (name) => HALF[entries.get(name)?.dtype ?? ''] ?? 'f32');
  for (const t of weights.all) {
    const entry = entries.get(t.name);
    if (!entry) throw new InputError('bad-model', `${where}: the tensor ${t.name} is missing, which config.json asks for.`);
    if (entry.shape.join() !== t.shape.join()) {
      throw new InputError(
        'bad-model',
        `${where}: ${t.name} has shape [${entry.shape.join(', ')}], but config.json makes it [${t.shape.join(', ')}].`,
      );
    }
    if (!['F32', 'F16', 'BF16'].includes(entry.dtype))
      throw new InputError('bad-model', `${where}: ${t.name} is ${entry.dtype}; only F32, F16 and BF16 can be read.`);
  }
  return weights;
}

/**
 * Uploads weights one tensor at a time, so that no second full copy exists in memory. 16-bit matrices stay packed.
 * @param onProgress bytes done and in all; may throw to stop
 */
export async function uploadWeights(
  memory: Memory,
  weights: ModelWeights,
  entries: ReadonlyMap<string, TensorEntry>,
  onProgress?: (done: number, total: number) => void,
): Promise<void> {
  const total = weights.all.reduce((a, t) => a + bytesOf(t), 0);
  let done = 0;
  for (const t of weights.all) {
    const entry = entries.get(t.name)!;
    if (bytesOf(t) > memory.gpu.maxBinding) {
      throw new InputError(
        'bad-model',
        `${t.name} needs ${Math.ceil(bytesOf(t) / 2 ** 20)} MiB in one binding; this GPU allows ${Math.floor(memory.gpu.maxBinding / 2 ** 20)} MiB.`,
      );
    }
    const buffer = memory.bind(t, createBuffer(memory.gpu, t.name, bytesOf(t)));
    writeBuffer(memory.gpu, buffer, t.dtype === 'f32' ? await readF32(entry) : await readTensor(entry));
    done += bytesOf(t);
    onProgress?.(done, total);
  }
}
