// Shapes of known models, for bills and measurements without their weights.
import type { ModelConfig } from './config.ts';

/** SmolLM2-135M's shape. */
export const SMOLLM2_135M: ModelConfig = {
  architecture: 'llama',
  hidden: 576,
  layers: 30,
  heads: 9,
  kvHeads: 3,
  headDim: 64,
  feedForward: 1536,
  vocab: 49152,
  normEps: 1e-5,
  tiedHead: true,
  qkvBias: false,
  outputBias: false,
  mlpBias: false,
  qkNorm: false,
  rope: { theta: 100000, scaling: { type: 'default' } },
  maxPositions: 8192,
  bosId: 1,
  eosIds: [2],
  dtype: 'float32',
};

/** Qwen2.5-0.5B's shape. */
export const QWEN25_05B: ModelConfig = {
  architecture: 'qwen2',
  hidden: 896,
  layers: 24,
  heads: 14,
  kvHeads: 2,
  headDim: 64,
  feedForward: 4864,
  vocab: 151936,
  normEps: 1e-6,
  tiedHead: true,
  qkvBias: true,
  outputBias: false,
  mlpBias: false,
  qkNorm: false,
  rope: { theta: 1000000, scaling: { type: 'default' } },
  maxPositions: 32768,
  bosId: 151643,
  eosIds: [151643],
  dtype: 'bfloat16',
};

/** Shapes by the name under which the command line takes them. */
export const SHAPES: Readonly<Record<string, ModelConfig>> = { 'smollm2-135m': SMOLLM2_135M, 'qwen2.5-0.5b': QWEN25_05B };
