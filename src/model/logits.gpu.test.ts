// Logits against transformers for random small models of each family, in f32, f16 and bf16.
import { expect, test } from 'vitest';
import { openSafetensors, readF32, readTensor } from '../data/weights/safetensors.ts';
import { goldenFolder } from '../testing/golden.ts';
import { testGpu } from '../testing/gpu.ts';
import { forwardLogits } from './forward.ts';
import { loadModel } from './load.ts';

const MODELS = [
  'llama-tied',
  'llama-untied',
  'llama-head-dim',
  'llama-llama3',
  'llama-linear',
  'qwen2',
  'qwen3',
  'llama-f16',
  'llama-bf16',
  'qwen2-f16',
  'qwen2-bf16',
];

for (const name of MODELS) {
  test(`${name}: logits equal transformers' (NMSE ≤ 1e-10)`, async () => {
    const folder = await goldenFolder(name);
    const { entries } = await openSafetensors(folder.open('golden.safetensors')!);
    const [rows, time] = entries.get('input_ids')!.shape;
    const flat = new Int32Array((await readTensor(entries.get('input_ids')!)).buffer);
    const ids = Array.from({ length: rows }, (_, r) =>
      Array.from(flat.slice(r * time, (r + 1) * time)),
    );
    const want = await readF32(entries.get('logits')!);
    const model = await loadModel(await testGpu(), folder);
    const got = await forwardLogits(model, null, ids);
    model.memory.destroy();
    let error = 0;
    let power = 0;
    want.forEach((w, i) => {
      error += (w - got[i]) ** 2;
      power += w ** 2;
    });
    expect(got.length).toBe(want.length);
    expect(error / power).toBeLessThanOrEqual(1e-10);
  });
}
