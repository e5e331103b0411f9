// Long rows on one layer of known models' shapes: the estimate is what the device is asked for, and
// a step runs. `npm run prove -- long-rows` runs one of 4,096 tokens.
import { expect } from 'vitest';
import { QWEN25_05B, SMOLLM2_135M } from '../bench/shapes.ts';
import { randomModel } from '../bench/step.ts';
import { ProgramMemory } from '../graph/program.ts';
import { symbolicWeights } from '../model/weights.ts';
import { defaultVariants } from '../ops/families.ts';
import { parseTrainingConfig } from '../settings/run-config.ts';
import { test } from '../testing/fixtures.ts';
import { alike } from './batch.ts';
import { fitWithin, limitsOf } from './memory/fit.ts';
import { trainingRequest } from './memory/request.ts';
import { StatisticsRing } from './ring.ts';
import { Runtime } from './runtime.ts';
import type { StageEvent } from './stage.ts';
import { TrainingStage } from './training.ts';

const configOf = (tokens: number) =>
  parseTrainingConfig(
    {
      data: { maxLength: tokens, validation: 0 },
      adapter: { method: 'lora', rank: 8, dropout: 0 },
      train: { batch: 1, microBatch: 1, steps: 1 },
    },
    'run.json',
  );

// Buffers are really made, so what the counting device leaves out would show. Nothing is compiled.
for (const [name, shape, tokens] of [
  ['SmolLM2-135M', SMOLLM2_135M, 8192],
  ['Qwen2.5-0.5B', QWEN25_05B, 4096],
] as const)
  test(`a layer of ${name}, a row of ${tokens} tokens: the device is asked for what is estimated`, async ({
    gpu,
    own,
  }) => {
    const config = { ...shape, layers: 1 };
    const weights = symbolicWeights(config, () => 'bf16', gpu.maxBinding);
    const variants = defaultVariants(gpu);
    const run = configOf(tokens);
    const request = trainingRequest({ config, weights, variants }, run, (rows, seqLen) =>
      alike({ rows, seqLen, targets: rows * (seqLen - 1) }),
    );
    const { recording, estimate } = fitWithin(request, limitsOf(gpu, run));
    const { held } = gpu.created;
    gpu.created.peak = held;
    const memory = own(new ProgramMemory(gpu));
    for (const t of weights.all) memory.allocate(t, 'weights');
    const { store } = recording.layout;
    own(store).allocate(gpu);
    const runtime = own(new Runtime({ name, gpu, config, weights, memory, variants }, recording));
    for (const ring of runtime.sources) new StatisticsRing(gpu, ring, () => undefined).destroy();
    await store.read(gpu, 'value');
    expect(gpu.created.peak - held).toBe(estimate.total);
    expect(estimate.bytes.activations).toBeGreaterThan(tokens * 10 * shape.hidden * 4);
  });

test('a step of a layer of SmolLM2-135M’s shape on a row of 1,024 tokens', async ({ gpu, own }) => {
  const model = await randomModel(
    gpu,
    { ...SMOLLM2_135M, layers: 1, vocab: 512 },
    undefined,
    'bf16',
  );
  own(model.memory);
  const tokens = 1024;
  const ids = Array.from({ length: tokens }, (_, i) => (7919 * i * i + 13 * i) % 512);
  const labels = ids.map((id, i) => (i < tokens - 16 ? -100 : id));
  const seen: number[][] = [];
  const emit = (event: StageEvent) => {
    if (event.type === 'step') seen.push([event.metrics.loss, event.metrics.grad_norm]);
  };
  const [rows, config] = [[{ ids, labels }], configOf(tokens)];
  const stage = own(await TrainingStage.create({ model, rows, config, emit }));
  const before = await stage.values();
  await stage.run();
  const [[loss, norm]] = seen;
  expect(loss / Math.log(512)).toBeCloseTo(1, 1); // random weights
  expect(norm).toBeGreaterThan(0);
  const after = await stage.values();
  expect(after.every(Number.isFinite)).toBe(true);
  expect(after).not.toEqual(before);
});
