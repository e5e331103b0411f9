// Shapes of known models, for memory estimates and measurements without their weights.
import type { ModelConfig } from '../model/config.ts';

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

/** SmolLM2-360M's shape. */
const SMOLLM2_360M: ModelConfig = {
  ...SMOLLM2_135M,
  hidden: 960,
  layers: 32,
  heads: 15,
  kvHeads: 5,
  feedForward: 2560,
  dtype: 'bfloat16',
};

/** Qwen3-0.6B's shape. */
const QWEN3_06B: ModelConfig = {
  ...QWEN25_05B,
  architecture: 'qwen3',
  hidden: 1024,
  layers: 28,
  heads: 16,
  kvHeads: 8,
  headDim: 128,
  feedForward: 3072,
  qkvBias: false,
  qkNorm: true,
  maxPositions: 40960,
};

/**
 * Llama-3.2-1B's and TinyLlama-1.1B's shapes; their rotary tables and special ids have no part in a
 * estimate and are SmolLM2's.
 */
const LLAMA32_1B: ModelConfig = {
  ...SMOLLM2_360M,
  hidden: 2048,
  layers: 16,
  heads: 32,
  kvHeads: 8,
  feedForward: 8192,
  vocab: 128256,
};
const TINYLLAMA: ModelConfig = {
  ...LLAMA32_1B,
  layers: 22,
  kvHeads: 4,
  feedForward: 5632,
  vocab: 32000,
  tiedHead: false,
};

/** Shapes by the name under which the command line takes them. */
export const SHAPES: Readonly<Record<string, ModelConfig>> = {
  'smollm2-135m': SMOLLM2_135M,
  'smollm2-360m': SMOLLM2_360M,
  'qwen2.5-0.5b': QWEN25_05B,
  'qwen3-0.6b': QWEN3_06B,
  'llama-3.2-1b': LLAMA32_1B,
  'tinyllama-1.1b': TINYLLAMA,
};
