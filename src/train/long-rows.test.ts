// Rows of 4,096 and 8,192 tokens at the shapes of known models, without a GPU: what fits, how long a
// launch is, and whether it fills a large GPU.
import { expect, test } from 'vitest';
import { recordPrograms } from '../bench/programs.ts';
import { QWEN25_05B, SMOLLM2_135M } from '../bench/shapes.ts';
import { imagined } from '../gpu/variants.ts';
import { type Dispatch, launchesOf, type Recorder } from '../graph/recorder.ts';
import type { ModelConfig } from '../model/config.ts';
import { symbolicWeights } from '../model/weights.ts';
import { presets } from '../ops/families.ts';
import { parseTrainingConfig } from '../settings/run-config.ts';
import { alike } from './batch.ts';
import { fitWithin } from './memory/fit.ts';
import { trainingRequest } from './memory/request.ts';

const BINDING = 2 ** 31;

const modelOf = (config: ModelConfig, kernels: keyof typeof presets = 'gpu') => ({
  config,
  weights: symbolicWeights(config, () => 'bf16', BINDING),
  variants: imagined(presets[kernels]),
});

const configOf = (method: 'lora' | 'lora-moe', maxLength: number) =>
  parseTrainingConfig(
    {
      data: { maxLength, validation: 0 },
      adapter: { method, rank: 8, ...(method === 'lora-moe' && { experts: 8 }) },
      train: { batch: 1, microBatch: 1 },
    },
    'run.json',
  );

const dispatches = (rec: Recorder): Dispatch[] =>
  rec.commands.flatMap((c) => (c.type === 'dispatch' ? [c] : []));

const runs = [SMOLLM2_135M, QWEN25_05B].flatMap((model) =>
  (['lora', 'lora-moe'] as const).flatMap((method) =>
    [4096, 8192].map((tokens) => [model.architecture, method, tokens, model] as const),
  ),
);

test.each(runs)('%s, %s, a row of %d tokens: every buffer fits one binding of 2 GiB', (...run) => {
  const [, method, tokens, config] = run;
  const request = trainingRequest(modelOf(config), configOf(method, tokens), (rows, seqLen) =>
    alike({ rows, seqLen, targets: rows * (seqLen - 1) }),
  );
  const fitted = fitWithin(request, { memory: null, maxBinding: BINDING });
  const { total, largest, bytes } = fitted.estimate;
  expect(largest.bytes).toBeLessThanOrEqual(BINDING);
  expect(Object.values(bytes).reduce((a, b) => a + b, 0)).toBe(total);
  // Recomputation is chosen by itself, where all activations would be above 2 GiB.
  const small = config === SMOLLM2_135M && method === 'lora' && tokens === 4096;
  expect(fitted).toMatchObject({ microBatch: 1, recompute: small ? 'mlp' : 'block' });
  expect(bytes.activations + bytes.logits).toBeLessThanOrEqual(2 ** 31);
});

/** 100 ms at 200 GFLOP/s, 10 ms at 2 TFLOP/s. */
const MOST = 2e10;

test.each(runs)('%s, %s, a row of %d tokens: no launch is above 20 GFLOP', (...run) => {
  const [, method, tokens, config] = run;
  for (const kernels of ['gpu', 'cpu'] as const) {
    const programs = recordPrograms(modelOf(config, kernels), configOf(method, tokens), tokens);
    for (const [name, rec] of programs)
      for (const whole of dispatches(rec)) {
        const [, ...parts] = launchesOf(whole);
        for (const { flops, label } of parts.length ? parts : [whole])
          expect(flops, `${name} ${kernels} ${label}`).toBeLessThanOrEqual(MOST);
        if (!parts.length) continue;
        // The parts are the whole: as many workgroups along x, and as much work.
        const [x] = whole.workgroups;
        const sum = (of: (part: Dispatch) => number) => parts.reduce((s, p) => s + of(p), 0);
        expect(sum((p) => p.workgroups[0])).toBe(x);
        expect(sum((p) => p.flops) / whole.flops).toBeCloseTo(1);
      }
  }
});

test('the eight most expensive kernels of a LoRA step on a row of 1,024 tokens have a workgroup for each of an H100’s 132 processors', () => {
  const micro = recordPrograms(modelOf(SMOLLM2_135M), configOf('lora', 1024), 1024).get('micro')!;
  const byKernel = new Map<string, Dispatch[]>();
  for (const d of dispatches(micro))
    byKernel.set(d.kernel.name, [...(byKernel.get(d.kernel.name) ?? []), d]);
  const flops = (launches: Dispatch[]) => launches.reduce((sum, d) => sum + d.flops, 0);
  const eight = [...byKernel].sort(([, a], [, b]) => flops(b) - flops(a)).slice(0, 8);
  expect(eight.length).toBe(8);
  const all = flops(dispatches(micro));
  expect(flops(eight.flatMap(([, launches]) => launches)) / all).toBeGreaterThan(0.9);
  for (const [kernel, launches] of eight)
    for (const { workgroups, label } of launches)
      expect(
        workgroups.reduce((a, b) => a * b),
        `${kernel} ${label}`,
      ).toBeGreaterThanOrEqual(132);
});
