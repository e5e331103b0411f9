// A model that is one GGUF file: which file of a folder it is, and its tensors under Hugging Face's
// names.
import { InputError } from '../../util/error.ts';
import type { Folder } from '../source.ts';
import { type GgufFile, metadataNumber, metadataText, openGguf } from './gguf.ts';
import type { TensorEntry } from './safetensors.ts';

const opened = new WeakMap<Folder, Promise<GgufFile>>();

/**
 * The GGUF file of a folder that has no safetensors; null where there is none. The header is read
 * once a folder.
 * @throws InputError where several lie there, or the one is a part of a split model
 */
export async function ggufOf(folder: Folder): Promise<GgufFile | null> {
  if (folder.files.some((f) => f === 'model.safetensors' || f === 'model.safetensors.index.json'))
    return null;
  const names = folder.files.filter((f) => f.toLowerCase().endsWith('.gguf'));
  if (names.length === 0) return null;
  if (names.length > 1)
    throw new InputError(
      'bad-model',
      `${folder.name}: there are ${names.length} GGUF files (${names.slice(0, 3).join(', ')}); choose one.`,
    );
  const source = folder.open(names[0]);
  if (!source) throw new InputError('missing-file', `${folder.name}: there is no ${names[0]}.`);
  let file = opened.get(folder);
  if (!file) {
    file = openGguf(source);
    opened.set(folder, file);
  }
  const parts = metadataNumber(await file, 'split.count', 1);
  if (parts > 1)
    throw new InputError(
      'bad-model',
      `${names[0]}: this is one of ${parts} parts of a split model; join them with llama-gguf-split --merge.`,
    );
  return file;
}

const outer: Readonly<Record<string, string>> = {
  'token_embd.weight': 'model.embed_tokens.weight',
  'output_norm.weight': 'model.norm.weight',
  'output.weight': 'lm_head.weight',
};
const inner: Readonly<Record<string, string>> = {
  attn_norm: 'input_layernorm',
  ffn_norm: 'post_attention_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  attn_q_norm: 'self_attn.q_norm',
  attn_k_norm: 'self_attn.k_norm',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
};

/** Size of a head as the metadata gives it. */
export function ggufHeadDim(file: GgufFile): number {
  const architecture = metadataText(file, 'general.architecture');
  const key = (name: string) => `${architecture}.${name}`;
  const heads = metadataNumber(file, key('attention.head_count'));
  return metadataNumber(
    file,
    key('attention.key_length'),
    metadataNumber(file, key('embedding_length')) / heads,
  );
}

/**
 * A GGUF file's tensors under the names of Hugging Face. Llama's converter puts the rows of q and k
 * in rotary pairs; they are marked so.
 * @throws InputError for a tensor that Llama, Qwen2 and Qwen3 don't have
 */
export function ggufTensors(file: GgufFile): Map<string, TensorEntry> {
  const paired = metadataText(file, 'general.architecture') === 'llama';
  const headDim = ggufHeadDim(file);
  const out = new Map<string, TensorEntry>();
  for (const [given, entry] of file.tensors) {
    if (given === 'rope_freqs.weight') continue; // part of the configuration
    const [, layer, part, kind] = /^blk\.(\d+)\.(\w+)\.(weight|bias)$/.exec(given) ?? [];
    const name =
      part !== undefined && Object.hasOwn(inner, part)
        ? `model.layers.${layer}.${inner[part]}.${kind}`
        : outer[given];
    if (!name)
      throw new InputError(
        'bad-model',
        `${file.name}: tensor "${given}" does not belong to a Llama, Qwen2 or Qwen3 model.`,
      );
    const pairs = paired && (part === 'attn_q' || part === 'attn_k');
    if (pairs && (!(headDim >= 2) || headDim % 2 !== 0 || entry.shape[0] % headDim !== 0))
      throw new InputError(
        'bad-model',
        `${file.name}: ${given} has ${entry.shape[0]} rows, which is not a whole number of heads of ${headDim}.`,
      );
    out.set(name, { ...entry, name, ...(pairs && { pairedHead: headDim }) });
  }
  return out;
}
