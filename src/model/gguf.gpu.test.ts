// Logits of GGUF models of each family and quantisation against transformers on the gguf package's
// own dequantisation.
import { expect, test } from 'vitest';
import { folderOf } from '../data/source.ts';
import { openSafetensors, readF32, readTensor } from '../data/weights/safetensors.ts';
import { bytesOf } from '../graph/tensor.ts';
import { goldenFolder } from '../testing/golden.ts';
import { testGpu } from '../testing/gpu.ts';
import { forwardLogits } from './forward.ts';
import { loadModel } from './load.ts';

function nmse(got: Float32Array, want: Float32Array): number {
  expect(got.length).toBe(want.length);
  let error = 0;
  let power = 0;
  want.forEach((w, i) => {
    error += (w - got[i]) ** 2;
    power += w ** 2;
  });
  return error / power;
}

const TYPES = [
  'f32',
  'f16',
  'bf16',
  'q8_0',
  'q4_0',
  'q4_1',
  'q5_0',
  'q5_1',
  'q4_k',
  'q5_k',
  'q6_k',
];

for (const type of TYPES) {
  for (const family of ['llama', 'qwen2', 'qwen3']) {
    const name = `${family}-${type}`;
    test(`${name}: logits equal transformers' (NMSE ≤ 1e-9), the embedding whole and in shards`, async () => {
      const all = await goldenFolder('gguf');
      const { entries } = await openSafetensors(all.open('golden.safetensors')!);
      const [rows, seqLen] = entries.get('input_ids')!.shape;
      const flat = new Int32Array((await readTensor(entries.get('input_ids')!)).buffer);
      const ids = Array.from({ length: rows }, (_, r) =>
        Array.from(flat.slice(r * seqLen, (r + 1) * seqLen)),
      );
      const want = await readF32(entries.get(name)!);
      const gpu = await testGpu();
      const folder = folderOf(name, [all.open(`${name}.gguf`)!]);
      const whole = await loadModel(gpu, folder);
      const [table] = whole.weights.embedding;
      // A binding that holds 66 of the 67 rows: shards of 64 and 3.
      const sharded = await loadModel(
        { ...gpu, maxBinding: (bytesOf(table) / table.shape[0]) * 66 },
        folder,
      );
      expect(sharded.weights.embedding.map((t) => t.shape[0])).toEqual([64, 3]);
      for (const model of [whole, { ...sharded, gpu }]) {
        const got = await forwardLogits(model, null, ids);
        model.memory.destroy();
        expect(nmse(got, want)).toBeLessThanOrEqual(1e-9);
      }
    });
  }
}
