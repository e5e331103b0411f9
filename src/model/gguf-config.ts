// The configuration of a decoder from the metadata and tensors of a GGUF file.
import { type GgufFile, metadataNumber, metadataText } from '../data/weights/gguf.ts';
import { ggufHeadDim } from '../data/weights/gguf-folder.ts';
import { readF32 } from '../data/weights/safetensors.ts';
import { InputError } from '../util/error.ts';
import { type ModelConfig, parseModelConfig, type RopeScaling } from './config.ts';

const classes: Readonly<Record<string, string>> = {
  llama: 'LlamaForCausalLM',
  qwen2: 'Qwen2ForCausalLM',
  qwen3: 'Qwen3ForCausalLM',
};

/**
 * The configuration of a Llama, Qwen2 or Qwen3 model. What the file doesn't say has llama.cpp's
 * default: θ 10,000, as many key-value heads as heads, the head size hidden / heads. Biases, a head
 * of its own and rotary factors are there where their tensors are.
 * @throws InputError naming the file and the key
 */
export async function ggufConfig(file: GgufFile): Promise<ModelConfig> {
  const architecture = metadataText(file, 'general.architecture');
  if (!Object.hasOwn(classes, architecture))
    throw refuse(
      file,
      `general.architecture is "${architecture}"; only llama, qwen2 and qwen3 are supported`,
    );
  const number = (key: string, absent?: number) =>
    metadataNumber(file, `${architecture}.${key}`, absent);
  if (number('expert_count', 0) > 0)
    throw refuse(file, 'this is a mixture-of-experts model, which is not supported');
  const heads = number('attention.head_count');
  const headDim = ggufHeadDim(file);
  for (const key of ['attention.value_length', 'rope.dimension_count']) {
    if (number(key, headDim) !== headDim)
      throw refuse(
        file,
        `${architecture}.${key} is ${number(key)}, but heads have size ${headDim}`,
      );
  }
  const has = (name: string) => file.tensors.has(name);
  const config = parseModelConfig(
    {
      architectures: [classes[architecture]],
      hidden_size: number('embedding_length'),
      num_hidden_layers: number('block_count'),
      num_attention_heads: heads,
      num_key_value_heads: number('attention.head_count_kv', heads),
      head_dim: headDim,
      intermediate_size: number('feed_forward_length'),
      vocab_size: file.tensors.get('token_embd.weight')?.shape[0],
      rms_norm_eps: number('attention.layer_norm_rms_epsilon'),
      tie_word_embeddings: !has('output.weight'),
      rope_theta: number('rope.freq_base', 10_000),
      rope_scaling: scalingOf(file, architecture),
      max_position_embeddings: number('context_length'),
      bos_token_id: tokenId(file, 'bos_token_id')[0] ?? null,
      eos_token_id: ['eos_token_id', 'eot_token_id'].flatMap((key) => tokenId(file, key)),
      dtype: file.tensors.get('blk.0.ffn_up.weight')?.dtype.toLowerCase(),
    },
    file.name,
  );
  const qkvBias = has('blk.0.attn_q.bias');
  const biases = {
    qkvBias,
    outputBias: has('blk.0.attn_output.bias'),
    mlpBias: has('blk.0.ffn_up.bias'),
  };
  return {
    ...config,
    ...biases,
    rope: { ...config.rope, scaling: (await factorsOf(file, headDim)) ?? config.rope.scaling },
  };
}

const refuse = (file: GgufFile, what: string) =>
  new InputError('bad-model', `${file.name}: ${what}.`);

/** A token of the tokenizer's metadata, as a list of one or none. */
function tokenId(file: GgufFile, key: string): number[] {
  const full = `tokenizer.ggml.${key}`;
  return file.metadata.has(full) ? [metadataNumber(file, full)] : [];
}

/** rope_scaling as config.json would spell it. */
function scalingOf(file: GgufFile, architecture: string): Record<string, unknown> | null {
  const key = `${architecture}.rope.scaling`;
  const type = metadataText(file, `${key}.type`, 'none');
  if (type === 'none') return null;
  if (type !== 'linear')
    throw refuse(file, `${key}.type is "${type}"; only "none" and "linear" are supported`);
  return { rope_type: type, factor: metadataNumber(file, `${key}.factor`) };
}

/** Llama 3's scaling, which a GGUF file holds as a divisor of each frequency. */
async function factorsOf(file: GgufFile, headDim: number): Promise<RopeScaling | null> {
  const entry = file.tensors.get('rope_freqs.weight');
  if (!entry) return null;
  if (entry.shape.join() !== String(headDim / 2))
    throw refuse(
      file,
      `rope_freqs.weight has shape [${entry.shape.join(', ')}], but heads of size ${headDim} need [${headDim / 2}]`,
    );
  const factors = [...(await readF32(entry))];
  const bad = factors.find((f) => !Number.isFinite(f) || f <= 0);
  if (bad !== undefined)
    throw refuse(file, `rope_freqs.weight holds ${bad}, which is not a valid divisor`);
  return { type: 'factors', factors };
}
