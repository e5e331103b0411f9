// The shape of a Llama-family decoder, read from a Hugging Face config.json.

import { InputError } from '../util/error.ts';
import { parseJson } from '../util/json.ts';

/**
 * Rotary position scaling, as in transformers' `rope_scaling` / `rope_parameters`; `factors` divide
 * the D/2 frequencies, as in GGUF.
 */
export type RopeScaling =
  | { type: 'default' }
  | { type: 'factors'; factors: readonly number[] }
  | { type: 'linear'; factor: number }
  | {
      type: 'llama3';
      factor: number;
      lowFreqFactor: number;
      highFreqFactor: number;
      originalMaxPositions: number;
    };

/** A decoder's hyperparameters. Letters of the method in brackets. */
export interface ModelConfig {
  architecture: 'llama' | 'qwen2' | 'qwen3';
  hidden: number; // C
  layers: number; // L
  heads: number; // H
  kvHeads: number; // G
  headDim: number; // D
  feedForward: number; // F
  vocab: number; // V
  normEps: number;
  tiedHead: boolean;
  qkvBias: boolean;
  outputBias: boolean; // o_proj (Llama with attention_bias)
  mlpBias: boolean;
  qkNorm: boolean;
  rope: { theta: number; scaling: RopeScaling };
  maxPositions: number;
  bosId: number | null;
  eosIds: number[];
  dtype: string;
}

type Json = Record<string, unknown>;
type Architecture = ModelConfig['architecture'];

const architectures: Readonly<Record<string, Architecture>> = {
  LlamaForCausalLM: 'llama',
  Qwen2ForCausalLM: 'qwen2',
  Qwen3ForCausalLM: 'qwen3',
};

/**
 * Keys that change the maths wherever they are set to anything but these values (absent and null
 * are always fine).
 */
const onlyAllowed: Readonly<Record<string, readonly unknown[]>> = {
  hidden_act: ['silu', 'swish'],
  use_sliding_window: [false],
  partial_rotary_factor: [1],
  pretraining_tp: [1],
  attention_dropout: [0],
  is_decoder: [true, false],
  is_encoder_decoder: [false],
  add_cross_attention: [false],
  rope_interleaved: [false],
  quantization_config: [],
  compression_config: [],
  auto_map: [],
  attn_logit_softcapping: [],
  final_logit_softcapping: [],
  clip_qkv: [],
  num_experts: [0],
  num_local_experts: [0],
  no_rope_layers: [],
  logit_scale: [1],
  logits_scaling: [1],
  residual_multiplier: [1],
  embedding_multiplier: [1],
  scale_embeddings: [false],
};

const refuse = (where: string, what: string) => new InputError('bad-model', `${where}: ${what}.`);
const show = (v: unknown) => (v === undefined ? 'missing' : JSON.stringify(v));
const isSet = (v: unknown) => v !== undefined && v !== null;
const isRecord = (v: unknown): v is Json =>
  typeof v === 'object' && v !== null && !Array.isArray(v);

/**
 * Reads a Hugging Face config.json (its text or parsed) of a Llama, Qwen2 or Qwen3 causal decoder,
 * in the spelling of transformers 4 or 5. Class defaults of transformers hold for absent keys,
 * except those that would hide a mistake: sizes, head counts and θ must be there. Throws
 * InputError('bad-model') naming `where`, key and value for everything that this engine doesn't
 * compute.
 */
export function parseModelConfig(json: unknown, where: string): ModelConfig {
  const c = typeof json === 'string' ? parseJson(json, where, 'bad-model') : json;
  if (!isRecord(c)) throw refuse(where, 'expected a JSON object');
  const architecture = readArchitecture(c, where);
  for (const [key, allowed] of Object.entries(onlyAllowed)) {
    if (isSet(c[key]) && !allowed.includes(c[key])) {
      const can =
        allowed.length === 0
          ? 'this key is not supported'
          : `only ${allowed.map((v) => JSON.stringify(v)).join(' or ')} is supported`;
      throw refuse(where, `${key} is ${show(c[key])}; ${can}`);
    }
  }
  checkLayerTypes(c, where);

  const hidden = size(c, 'hidden_size', where);
  const heads = size(c, 'num_attention_heads', where);
  const kvHeads =
    c.num_key_value_heads === null || (architecture === 'llama' && !isSet(c.num_key_value_heads))
      ? heads
      : size(c, 'num_key_value_heads', where);
  if (heads % kvHeads !== 0) {
    throw refuse(
      where,
      `num_attention_heads ${heads} is not a multiple of num_key_value_heads ${kvHeads}`,
    );
  }
  const attentionBias = flag(c, 'attention_bias', where);
  const mlpBias = flag(c, 'mlp_bias', where);
  if (mlpBias && architecture !== 'llama')
    throw refuse(where, `mlp_bias is true, which ${architecture} models do not have`);
  const maxPositions = isSet(c.max_position_embeddings)
    ? size(c, 'max_position_embeddings', where)
    : architecture === 'llama'
      ? 2048
      : 32768;
  return {
    architecture,
    hidden,
    layers: size(c, 'num_hidden_layers', where),
    heads,
    kvHeads,
    headDim: readHeadDim(c, architecture, hidden, heads, where),
    feedForward: size(c, 'intermediate_size', where),
    vocab: size(c, 'vocab_size', where),
    normEps: isSet(c.rms_norm_eps) ? positive(c.rms_norm_eps, 'rms_norm_eps', where) : 1e-6,
    tiedHead: flag(c, 'tie_word_embeddings', where),
    qkvBias: architecture === 'qwen2' || attentionBias,
    outputBias: architecture !== 'qwen2' && attentionBias,
    mlpBias,
    qkNorm: architecture === 'qwen3',
    rope: readRope(c, where),
    maxPositions,
    bosId:
      c.bos_token_id === undefined
        ? architecture === 'llama'
          ? 1
          : null
        : (tokenIds(c.bos_token_id, 'bos_token_id', where)[0] ?? null),
    eosIds:
      c.eos_token_id === undefined
        ? architecture === 'llama'
          ? [2]
          : []
        : tokenIds(c.eos_token_id, 'eos_token_id', where),
    dtype: readDtype(c, where),
  };
}

function readArchitecture(c: Json, where: string): Architecture {
  const known = Object.keys(architectures).join(', ');
  const types = Object.values(architectures);
  if (isSet(c.architectures)) {
    const name =
      Array.isArray(c.architectures) && c.architectures.length === 1
        ? c.architectures[0]
        : undefined;
    if (typeof name !== 'string' || !Object.hasOwn(architectures, name)) {
      throw refuse(where, `architectures is ${show(c.architectures)}; only ${known} are supported`);
    }
    if (isSet(c.model_type) && c.model_type !== architectures[name]) {
      throw refuse(
        where,
        `model_type is ${show(c.model_type)}, which does not belong to architecture ${name}`,
      );
    }
    return architectures[name];
  }
  const type = types.find((t) => t === c.model_type);
  if (!type)
    throw refuse(
      where,
      `there is no "architectures", and model_type is ${show(c.model_type)}; only ${known} are supported`,
    );
  return type;
}

/** transformers' default of head_dim is hidden / heads for Llama and Qwen2, 128 for Qwen3. */
function readHeadDim(
  c: Json,
  architecture: Architecture,
  hidden: number,
  heads: number,
  where: string,
): number {
  let headDim: number;
  if (isSet(c.head_dim)) headDim = size(c, 'head_dim', where);
  else if (architecture === 'qwen3') {
    if (c.head_dim === null) throw refuse(where, 'head_dim is null; a Qwen3 model needs a number');
    headDim = 128;
  } else {
    if (hidden % heads !== 0)
      throw refuse(
        where,
        `hidden_size ${hidden} is not a multiple of num_attention_heads ${heads}, and there is no head_dim`,
      );
    headDim = hidden / heads;
  }
  if (headDim % 2 !== 0)
    throw refuse(where, `the head size ${headDim} is odd; rotary positions need an even one`);
  return headDim;
}

function checkLayerTypes(c: Json, where: string): void {
  if (!isSet(c.layer_types)) return;
  if (!Array.isArray(c.layer_types))
    throw refuse(where, `layer_types is ${show(c.layer_types)}, not a list`);
  const other = c.layer_types.findIndex((t) => t !== 'full_attention');
  if (other >= 0)
    throw refuse(
      where,
      `layer_types[${other}] is ${show(c.layer_types[other])}; only "full_attention" is supported`,
    );
  if (c.layer_types.length !== c.num_hidden_layers) {
    throw refuse(
      where,
      `layer_types has ${c.layer_types.length} entries for num_hidden_layers ${show(c.num_hidden_layers)}`,
    );
  }
}

const ropeKeys = [
  'rope_theta',
  'rope_type',
  'type',
  'factor',
  'low_freq_factor',
  'high_freq_factor',
  'original_max_position_embeddings',
];

/**
 * θ and scaling from rope_theta + rope_scaling (transformers 4) or rope_parameters (5); what stands
 * in both places must agree.
 */
function readRope(c: Json, where: string): ModelConfig['rope'] {
  const values = new Map<string, unknown>();
  const note = (key: string, value: unknown, path: string) => {
    if (!isSet(value)) return;
    if (values.has(key) && values.get(key) !== value)
      throw refuse(
        where,
        `${path} is ${show(value)}, but elsewhere it is ${show(values.get(key))}`,
      );
    values.set(key, value);
  };
  note('rope_theta', c.rope_theta, 'rope_theta');
  note(
    'original_max_position_embeddings',
    c.original_max_position_embeddings,
    'original_max_position_embeddings',
  );
  let source = 'rope_scaling';
  for (const name of ['rope_scaling', 'rope_parameters']) {
    const part = c[name];
    if (!isSet(part)) continue;
    if (!isRecord(part)) throw refuse(where, `${name} is ${show(part)}, not an object`);
    source = name;
    for (const [key, value] of Object.entries(part)) {
      if (key === 'partial_rotary_factor' && (value === 1 || value === null)) continue;
      if (!ropeKeys.includes(key) && value !== null)
        throw refuse(where, `${name}.${key} is ${show(value)}; this key is not supported`);
      note(key === 'type' ? 'rope_type' : key, value, `${name}.${key}`);
    }
  }
  if (!values.has('rope_theta'))
    throw refuse(
      where,
      'rope_theta (or rope_parameters.rope_theta) is missing; it is never guessed',
    );
  const theta = positive(values.get('rope_theta'), 'rope_theta', where);
  const number = (key: string) => positive(values.get(key), `${source}.${key}`, where);
  const type = values.get('rope_type') ?? (values.has('factor') ? undefined : 'default');
  if (type === 'default') {
    if (values.has('factor') && values.get('factor') !== 1)
      throw refuse(
        where,
        `${source}.factor is ${show(values.get('factor'))}, but rope_type is "default"`,
      );
    return { theta, scaling: { type } };
  }
  if (type === 'linear') return { theta, scaling: { type, factor: number('factor') } };
  if (type === 'llama3') {
    const lowFreqFactor = number('low_freq_factor');
    const highFreqFactor = number('high_freq_factor');
    if (highFreqFactor <= lowFreqFactor) {
      throw refuse(
        where,
        `${source}.high_freq_factor ${highFreqFactor} is not above low_freq_factor ${lowFreqFactor}`,
      );
    }
    const originalMaxPositions = number('original_max_position_embeddings');
    return {
      theta,
      scaling: {
        type,
        factor: number('factor'),
        lowFreqFactor,
        highFreqFactor,
        originalMaxPositions,
      },
    };
  }
  throw refuse(
    where,
    `${source}.rope_type is ${show(type)}; only "default", "linear" and "llama3" are supported`,
  );
}

function readDtype(c: Json, where: string): string {
  const dtype = c.dtype ?? c.torch_dtype ?? 'float32';
  if (typeof dtype !== 'string') throw refuse(where, `dtype is ${show(dtype)}, not a name`);
  return dtype;
}

function size(c: Json, key: string, where: string): number {
  const v = c[key];
  if (v === undefined || v === null) throw refuse(where, `${key} is missing`);
  if (!Number.isInteger(v) || (v as number) < 1 || (v as number) > 2 ** 31 - 1)
    throw refuse(where, `${key} is ${show(v)}, not a positive whole number`);
  return v as number;
}

function positive(v: unknown, key: string, where: string): number {
  if (!isSet(v)) throw refuse(where, `${key} is missing`);
  if (typeof v !== 'number' || !Number.isFinite(v) || v <= 0)
    throw refuse(where, `${key} is ${show(v)}, not a positive number`);
  return v;
}

function flag(c: Json, key: string, where: string): boolean {
  const v = c[key] ?? false;
  if (typeof v !== 'boolean') throw refuse(where, `${key} is ${show(v)}, neither true nor false`);
  return v;
}

function tokenIds(v: unknown, key: string, where: string): number[] {
  if (v === null) return [];
  const ids: unknown[] = Array.isArray(v) ? v : [v];
  for (const id of ids)
    if (!Number.isSafeInteger(id) || (id as number) < 0)
      throw refuse(where, `${key} is ${show(v)}, not a token id or a list of them`);
  return ids as number[];
}
