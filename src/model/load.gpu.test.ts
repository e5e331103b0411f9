// Loading a checkpoint holds no copy of it: peak JavaScript memory, sampled at every piece, with tensors as large as real ones.
import { expect, test } from 'vitest';
import type { ByteSource } from '../data/source.ts';
import { bytesSource, folderOf } from '../data/source.ts';
import { readBuffer } from '../gpu/buffers.ts';
import { bytesOf } from '../graph/tensor.ts';
import { testGpu } from '../testing/gpu.ts';
import { parseModelConfig } from './config.ts';
import { loadModel } from './load.ts';
import { symbolicWeights } from './weights.ts';

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
const byteAt = (i: number): number => (i * 7 + Math.floor(i / 65_536)) & 63;

/** A safetensors file in f32 that is made while it is read; counts what is read at once. */
function syntheticFile(config: ReturnType<typeof parseModelConfig>): {
  source: ByteSource;
  header: Map<string, number>;
  largestRead: () => number;
} {
  let at = 0;
  const places = new Map<string, number>();
  const entries = symbolicWeights(config, () => 'f32').all.map((t) => {
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
    for (let i = 0; i < out.length; i++) out[i] = start + i < head.length ? head[start + i] : byteAt(start + i - head.length);
    return out;
  };
  return { source: { name: 'model.safetensors', size: head.length + at, read }, header: places, largestRead: () => most };
}

test('a checkpoint of 350 MB: memory stays below the largest tensor + 64 MB, and every tensor arrives', async () => {
  const gpu = await testGpu();
  const config = parseModelConfig(json, 'config.json');
  const { source, header, largestRead } = syntheticFile(config);
  expect(source.size).toBeGreaterThan(3e8);
  const folder = folderOf('large', [bytesSource(new TextEncoder().encode(JSON.stringify(json)), 'config.json'), source]);
  const inNode = typeof process !== 'undefined' && Boolean(process.versions?.node);
  const inUse = () => {
    if (!inNode) return 0;
    const { heapUsed, external, arrayBuffers } = process.memoryUsage();
    return heapUsed + external + arrayBuffers;
  };
  let peak = 0;
  let samples = 0;
  const model = await loadModel(gpu, folder, {
    onProgress: () => {
      samples++;
      peak = Math.max(peak, inUse());
    },
  });
  expect(samples).toBeGreaterThan(source.size / 2 ** 23);
  const largest = Math.max(...model.weights.all.map(bytesOf));
  expect(largestRead()).toBeLessThanOrEqual(4 * 2 ** 20);
  if (inNode)
    console.info(`largest tensor ${(largest / 2 ** 20).toFixed(0)} MiB, peak ${(peak / 2 ** 20).toFixed(0)} MiB of JavaScript memory`);
  expect(peak).toBeLessThan(largest + 64e6);
  for (const t of model.weights.all) {
    const size = bytesOf(t);
    for (const offset of [0, size - 64]) {
      const got = new Uint8Array(await readBuffer(gpu, model.memory.get(t), offset, 64));
      expect([...got], `${t.name} at ${offset}`).toEqual(Array.from({ length: 64 }, (_, i) => byteAt(header.get(t.name)! + offset + i)));
    }
  }
  model.memory.destroy();
});
