// Reading config.json: both spellings, class defaults, and a refusal with key and value of whatever
// isn't computed.
import { describe, expect, test } from 'vitest';
import { InputError } from '../util/error.ts';
import { parseModelConfig } from './config.ts';

const llama = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  intermediate_size: 96,
  vocab_size: 256,
  rope_theta: 10000,
};
const qwen3 = { ...llama, architectures: ['Qwen3ForCausalLM'], model_type: 'qwen3' };
const qwen2 = { ...llama, architectures: ['Qwen2ForCausalLM'], model_type: 'qwen2' };
const parse = (json: unknown) => parseModelConfig(json, 'config.json');

describe('what is read', () => {
  test('Llama with transformers\u2019 class defaults for absent keys', () => {
    expect(parse(llama)).toEqual({
      architecture: 'llama',
      hidden: 64,
      layers: 2,
      heads: 4,
      kvHeads: 2,
      headDim: 16,
      feedForward: 96,
      vocab: 256,
      normEps: 1e-6,
      tiedHead: false,
      qkvBias: false,
      outputBias: false,
      mlpBias: false,
      qkNorm: false,
      rope: { theta: 10000, scaling: { type: 'default' } },
      maxPositions: 2048,
      bosId: 1,
      eosIds: [2],
      dtype: 'float32',
    });
    expect(parse(JSON.stringify(llama))).toEqual(parse(llama));
  });

  test('biases and norms by architecture', () => {
    expect(parse({ ...llama, attention_bias: true, mlp_bias: true })).toMatchObject({
      qkvBias: true,
      outputBias: true,
      mlpBias: true,
    });
    expect(parse(qwen2)).toMatchObject({
      qkvBias: true,
      outputBias: false,
      qkNorm: false,
      headDim: 16,
      bosId: null,
      eosIds: [],
      maxPositions: 32768,
    });
    expect(parse(qwen3)).toMatchObject({
      qkvBias: false,
      outputBias: false,
      qkNorm: true,
      headDim: 128,
    });
    expect(parse({ ...qwen3, attention_bias: true, head_dim: 8 })).toMatchObject({
      qkvBias: true,
      outputBias: true,
      headDim: 8,
    });
  });

  test('both spellings of rope and dtype say the same', () => {
    const scaling = {
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 512,
    };
    const four = parse({
      ...llama,
      rope_scaling: { rope_type: 'llama3', ...scaling },
      torch_dtype: 'bfloat16',
    });
    const { rope_theta: _, ...rest } = llama;
    const five = parse({
      ...rest,
      rope_parameters: { rope_type: 'llama3', rope_theta: 10000, ...scaling },
      dtype: 'bfloat16',
    });
    expect(four).toEqual(five);
    expect(five.rope.scaling).toEqual({
      type: 'llama3',
      factor: 8,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxPositions: 512,
    });
    expect(five.dtype).toBe('bfloat16');
    expect(parse({ ...llama, rope_scaling: { type: 'linear', factor: 2 } }).rope.scaling).toEqual({
      type: 'linear',
      factor: 2,
    });
    expect(
      parse({
        ...llama,
        rope_scaling: null,
        rope_parameters: { rope_theta: 10000, rope_type: 'default' },
      }).rope.theta,
    ).toBe(10000);
  });

  test('token ids as number, list or null; kv heads null; keys without effect', () => {
    expect(parse({ ...llama, eos_token_id: [5, 6], bos_token_id: null })).toMatchObject({
      eosIds: [5, 6],
      bosId: null,
    });
    expect(parse({ ...llama, eos_token_id: null })).toMatchObject({ eosIds: [] });
    expect(parse({ ...llama, num_key_value_heads: null }).kvHeads).toBe(4);
    const harmless = {
      use_cache: true,
      initializer_range: 0.02,
      rope_interleaved: false,
      is_llama_config: true,
      pretraining_tp: 1,
      attention_dropout: 0.0,
    };
    expect(
      parse({
        ...llama,
        ...harmless,
        transformers_version: '5',
        layer_types: ['full_attention', 'full_attention'],
      }),
    ).toEqual(parse(llama));
    expect(
      parse({ ...qwen2, use_sliding_window: false, sliding_window: 4096, max_window_layers: 28 }),
    ).toEqual(parse(qwen2));
    expect(parse({ ...llama, architectures: undefined })).toEqual(parse(llama));
  });
});

describe('what is refused', () => {
  const cases: [string, unknown, string][] = [
    ['not JSON', '{', 'not valid JSON'],
    ['empty', '', 'empty'],
    ['a list', [], 'expected a JSON object'],
    [
      'unknown architecture',
      { ...llama, architectures: ['MambaForCausalLM'] },
      'architectures is ["MambaForCausalLM"]; only LlamaForCausalLM',
    ],
    ['architecture from the prototype', { ...llama, architectures: ['toString'] }, 'toString'],
    [
      'two architectures',
      { ...llama, architectures: ['LlamaForCausalLM', 'X'] },
      'architectures is',
    ],
    ['no architecture', { hidden_size: 3 }, 'model_type is missing'],
    ['a contradiction', { ...llama, model_type: 'mistral' }, 'model_type is "mistral"'],
    [
      'no θ',
      { ...llama, rope_theta: undefined },
      'rope_theta (or rope_parameters.rope_theta) is missing',
    ],
    ['θ = 0', { ...llama, rope_theta: 0 }, 'rope_theta is 0'],
    [
      'two θ',
      { ...llama, rope_parameters: { rope_theta: 5, rope_type: 'default' } },
      'rope_parameters.rope_theta is 5, but elsewhere it is 10000',
    ],
    [
      'yarn',
      { ...llama, rope_scaling: { rope_type: 'yarn', factor: 4 } },
      'rope_scaling.rope_type is "yarn"',
    ],
    [
      'yarn keys',
      { ...llama, rope_scaling: { rope_type: 'yarn', factor: 4, beta_fast: 32 } },
      'rope_scaling.beta_fast is 32',
    ],
    ['dynamic by old key', { ...llama, rope_scaling: { type: 'dynamic', factor: 4 } }, '"dynamic"'],
    [
      'linear without factor',
      { ...llama, rope_scaling: { type: 'linear' } },
      'rope_scaling.factor is missing',
    ],
    [
      'llama3 without length',
      {
        ...llama,
        rope_scaling: { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 },
      },
      'original_max_position_embeddings',
    ],
    [
      'rope per layer type',
      { ...llama, rope_parameters: { full_attention: { rope_theta: 1 } } },
      'rope_parameters.full_attention',
    ],
    [
      'partial rotary',
      { ...llama, partial_rotary_factor: 0.5 },
      'partial_rotary_factor is 0.5; only 1',
    ],
    [
      'partial rotary inside',
      { ...llama, rope_parameters: { partial_rotary_factor: 0.5 } },
      'partial_rotary_factor is 0.5',
    ],
    [
      'impossible kv heads',
      { ...llama, num_key_value_heads: 3 },
      'num_attention_heads 4 is not a multiple of num_key_value_heads 3',
    ],
    ['more kv heads than heads', { ...llama, num_key_value_heads: 8 }, 'not a multiple'],
    ['no heads', { ...llama, num_attention_heads: 0 }, 'num_attention_heads is 0'],
    ['fractional layers', { ...llama, num_hidden_layers: 2.5 }, 'num_hidden_layers is 2.5'],
    ['size as text', { ...llama, hidden_size: '64' }, 'hidden_size is "64"'],
    ['no vocabulary', { ...llama, vocab_size: undefined }, 'vocab_size is missing'],
    ['hidden not divisible', { ...llama, hidden_size: 66 }, 'hidden_size 66 is not a multiple'],
    ['odd head', { ...llama, head_dim: 15 }, 'head size 15 is odd'],
    [
      'Qwen2 without kv heads',
      { ...qwen2, num_key_value_heads: undefined },
      'num_key_value_heads is missing',
    ],
    ['Qwen3 with mlp bias', { ...qwen3, mlp_bias: true }, 'mlp_bias is true'],
    ['gelu', { ...llama, hidden_act: 'gelu' }, 'hidden_act is "gelu"; only "silu"'],
    [
      'sliding window',
      { ...qwen2, use_sliding_window: true },
      'use_sliding_window is true; only false',
    ],
    [
      'sliding layers',
      { ...qwen3, layer_types: ['full_attention', 'sliding_attention'] },
      'layer_types[1] is "sliding_attention"',
    ],
    [
      'quantised',
      { ...llama, quantization_config: { bits: 4 } },
      'quantization_config is {"bits":4}',
    ],
    ['pretraining_tp', { ...llama, pretraining_tp: 2 }, 'pretraining_tp is 2'],
    ['attention dropout', { ...llama, attention_dropout: 0.1 }, 'attention_dropout is 0.1'],
    ['custom code', { ...llama, auto_map: { AutoModel: 'x' } }, 'auto_map'],
    ['eps 0', { ...llama, rms_norm_eps: 0 }, 'rms_norm_eps is 0'],
    ['eos as text', { ...llama, eos_token_id: ['</s>'] }, 'eos_token_id is ["</s>"]'],
    ['tied as text', { ...llama, tie_word_embeddings: 'yes' }, 'tie_word_embeddings is "yes"'],
  ];
  test.each(cases)('%s', (_name, json, message) => {
    let error: unknown;
    try {
      parse(json);
    } catch (e) {
      error = e;
    }
    expect(error).toBeInstanceOf(InputError);
    expect((error as InputError).code).toBe('bad-model');
    expect((error as Error).message).toContain(message);
    expect((error as Error).message).toContain('config.json: ');
  });
});
