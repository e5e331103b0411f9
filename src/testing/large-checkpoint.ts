// A Llama of 350 MB with tensors as large as real ones, made while it is read.
import { type ByteSource, bytesSource, type Folder, folderOf } from '../data/source.ts';
import { bytesOf } from '../graph/tensor.ts';
import { parseModelConfig } from '../model/config.ts';
import { symbolicWeights } from '../model/weights.ts';

const json = {
  architectures: ['LlamaForCausalLM'],
  hidden_size: 1024,
  num_hidden_layers: 4,
  num_attention_heads: 16,
  num_key_value_heads: 4,
  intermediate_size: 4096,
  vocab_size: 32_000,
  tie_word_embeddings: true,
  rope_theta: 10_000,
};

/** Byte i of the data is this, so that what arrives on the device can be checked anywhere. */
export const byteAt = (i: number): number => (i * 7 + Math.floor(i / 65_536)) & 63;

/**
 * A folder with it in safetensors, in f32; where each tensor lies in the data; bytes of the largest
 * one; and the most that was read at once.
 */
export function largeCheckpoint(): {
  folder: Folder;
  source: ByteSource;
  places: Map<string, number>;
  largest: number;
  mostRead: () => number;
} {
  let at = 0;
  const places = new Map<string, number>();
  const { all } = symbolicWeights(parseModelConfig(json, 'config.json'), () => 'f32');
  const entries = all.map((t) => {
    places.set(t.name, at);
    const start = at;
    at += bytesOf(t);
    return [t.name, { dtype: 'F32', shape: t.shape, data_offsets: [start, at] }];
  });
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const head = new Uint8Array(8 + text.length);
  new DataView(head.buffer).setBigUint64(0, BigInt(text.length), true);
  head.set(text, 8);
  let most = 0;
  const read = async (start: number, end: number) => {
    most = Math.max(most, end - start);
    const out = new Uint8Array(end - start);
    for (let i = 0; i < out.length; i++)
      out[i] = start + i < head.length ? head[start + i] : byteAt(start + i - head.length);
    return out;
  };
  const source = { name: 'model.safetensors', size: head.length + at, read };
  const folder = folderOf('large', [
    bytesSource(new TextEncoder().encode(JSON.stringify(json)), 'config.json'),
    source,
  ]);
  return { folder, source, places, largest: Math.max(...all.map(bytesOf)), mostRead: () => most };
}
