// Logits against transformers for random small models of each family, in f32, f16 and bf16.
import { expect } from 'vitest';
import { openSafetensors, readF32, readTensor } from '../data/weights/safetensors.ts';
import { test } from '../testing/fixtures.ts';
import { goldenFolder } from '../testing/golden.ts';
import { forwardLogits } from './forward.ts';

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

/** In the device's own kernels; a model of each way to store weights also in those of GPUs. */
const CASES: [string, string?][] = [
  ...MODELS.map((name): [string] => [name]),
  ...['llama-untied', 'qwen3', 'llama-f16', 'qwen2-bf16'].map((n): [string, string] => [n, 'gpu']),
];

for (const [name, kernels] of CASES) {
  const title = `${name}${kernels ? `, ${kernels} kernels` : ''}`;
  test(`${title}: logits equal transformers' (NMSE ≤ 1e-10)`, async ({ load }) => {
    const golden = (await goldenFolder(name)).open('golden.safetensors')!;
    const { entries } = await openSafetensors(golden);
    const [rows, seqLen] = entries.get('input_ids')!.shape;
    const flat = new Int32Array((await readTensor(entries.get('input_ids')!)).buffer);
    const ids = Array.from({ length: rows }, (_, r) =>
      Array.from(flat.slice(r * seqLen, (r + 1) * seqLen)),
    );
    const want = await readF32(entries.get('logits')!);
    const got = await forwardLogits(await load(name, kernels), null, ids);
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
