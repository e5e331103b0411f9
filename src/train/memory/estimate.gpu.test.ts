// The estimate against the bytes of every buffer that the device was asked for, at the peak of whole
// runs; recomputation changes no bit of them.
import { expect, test } from 'vitest';
import { SMOLLM2_135M } from '../../bench/shapes.ts';
import { randomModel } from '../../bench/step.ts';
import { Generator, generate, recordGeneration } from '../../model/generate.ts';
import type { LoadedModel } from '../../model/load.ts';
import { symbolicWeights } from '../../model/weights.ts';
import { defaultVariants } from '../../ops/families.ts';
import {
  parseRunConfig,
  type RunConfig,
  type RunConfigInput,
  searches,
  trains,
} from '../../settings/run-config.ts';
import { testGpu } from '../../testing/gpu.ts';
import { Random } from '../../util/random.ts';
import type { MemoryOptions, Row } from '../batch.ts';
import { evaluateExamples } from '../evaluate.ts';
import { searchShapes, trainingShapes } from '../run-rows.ts';
import { SearchStage } from '../search/stage.ts';
import type { StageEvent } from '../stage.ts';
import { TrainingStage } from '../training.ts';
import { estimateGeneration } from './estimate.ts';
import { estimateOf } from './fit.ts';
import { type MemoryRequest, searchRequest, trainingRequest } from './request.ts';

const nano = {
  ...SMOLLM2_135M,
  layers: 3,
  hidden: 32,
  heads: 2,
  kvHeads: 1,
  headDim: 16,
  feedForward: 48,
  vocab: 64,
};
const random = new Random(1, 'rows');
const rows: Row[] = Array.from({ length: 10 }, (_, i) => {
  const ids = Array.from({ length: 5 + 2 * i }, () => Math.floor(random.uniform() * nano.vocab));
  return { ids, labels: ids };
});

/** Bytes at the peak of a random model and of whatever `use` makes beside it. */
async function peakOf<T>(
  use: (model: LoadedModel) => Promise<T>,
): Promise<{ bytes: number; value: T }> {
  const { created } = await testGpu();
  const before = created.held;
  created.peak = before;
  const model = await randomModel(await testGpu(), nano, undefined, 'bf16');
  const value = await use(model);
  model.memory.destroy();
  expect(created.held).toBe(before);
  return { bytes: created.peak - before, value };
}

function requestOf(model: Parameters<typeof searchRequest>[0], config: RunConfig): MemoryRequest {
  if (searches(config)) return searchRequest(model, config, searchShapes(rows, config));
  if (trains(config)) return trainingRequest(model, config, trainingShapes(rows, config));
  throw new Error('nothing to do');
}

/** A whole run; what it trained. */
async function run(
  model: LoadedModel,
  config: RunConfig,
  memoryOptions: MemoryOptions,
): Promise<Float32Array> {
  const stage = searches(config)
    ? await SearchStage.create({ model, rows, config, memoryOptions })
    : trains(config) && (await TrainingStage.create({ model, rows, config, memoryOptions }));
  if (!stage) throw new Error('nothing to do');
  await stage.run();
  const values = await stage.values();
  stage.destroy();
  return values instanceof Float32Array ? values : values.upper;
}

const base: RunConfigInput = {
  data: { maxLength: 24, validation: 0.2 },
  adapter: { experts: 3, rank: 2 },
};
const train = { steps: 1, batch: 4, microBatch: 4 };
const search = { steps: 2, batch: 4, microBatch: 2 };
const cases: Record<string, RunConfigInput> = {
  'plain LoRA': { ...base, adapter: { method: 'lora', rank: 2, dropout: 0 }, train },
  'LoRA-MoE with dropout': { ...base, train },
  'LoRA-MoE, rows packed': {
    ...base,
    data: { ...base.data, packing: true },
    train: { ...train, batch: 2, microBatch: 2 },
  },
  'a search, first order': { ...base, train: false, search },
  'a search, second order': {
    ...base,
    train: false,
    search: { ...search, order: 'second-order', cost: 0.1 },
  },
};

for (const [name, json] of Object.entries(cases)) {
  test(`${name}: under every policy the estimate is what the device is asked for, and the values are the same`, async () => {
    const gpu = await testGpu();
    const symbolic = {
      config: nano,
      weights: symbolicWeights(nano, () => 'bf16'),
      variants: defaultVariants(gpu),
    };
    const config = parseRunConfig(json, 'run.json');
    const request = requestOf(symbolic, config);
    let first: Float32Array | null = null;
    for (const recompute of ['none', 'mlp', 'block'] as const) {
      const memoryOptions = { recompute, logitsChunkRows: recompute === 'none' ? 128 : 8 };
      const { bytes, value } = await peakOf((model) => run(model, config, memoryOptions));
      expect(bytes, recompute).toBe(estimateOf(request, memoryOptions).total);
      first ??= value;
      expect(value).toEqual(first);
    }
  });
}

test('generation: the estimate with its cache is what the device is asked for', async () => {
  const { bytes, value } = await peakOf(async (model) => {
    const estimate = estimateGeneration(model, null, 3, 20, 5);
    const recorded = recordGeneration(model, null, 3, 20, 5);
    const generator = await new Generator(model, recorded).compile();
    await generator.generate([[1, 2, 3], [4]], { maxNewTokens: 5, stopIds: [] });
    generator.destroy();
    return estimate;
  });
  expect(bytes).toBe(value.total);
  expect(value.bytes.cache).toBe(2 * nano.layers * 3 * 48 * 16 * 4);
});

test('a small binding: fewer rows of logits at a time, the head in shards; losses, gradients and answers are the same bits', async () => {
  const gpu = await testGpu();
  const wide = { ...nano, vocab: 4096 };
  const maxBinding = 11 * wide.vocab * 4; // 11 rows; the head of 256 KiB in two shards
  const model = await randomModel({ ...gpu, maxBinding }, wide, undefined, 'bf16');
  expect(model.weights.head.length).toBe(2);
  const config = parseRunConfig(
    { ...base, train: { steps: 2, batch: 4, microBatch: 4 } },
    'run.json',
  );
  if (!trains(config)) throw new Error('trains');
  const trained = async (of: LoadedModel, memoryOptions?: MemoryOptions) => {
    const losses: number[][] = [];
    const emit = (event: StageEvent) => {
      if (event.type !== 'step') return;
      const { ce, balance, grad_norm } = event.metrics;
      losses.push([ce, balance, grad_norm]);
    };
    const stage = await TrainingStage.create({ model: of, rows, config, memoryOptions, emit });
    await stage.run();
    const { logitsChunkRows, estimate } = stage.choice;
    const found = { losses, values: await stage.values() };
    stage.destroy();
    return { logitsChunkRows, largest: estimate.largest.bytes, found };
  };
  const forced = await trained(model);
  expect(forced.logitsChunkRows).toBe(11);
  expect(forced.largest).toBe(maxBinding);
  const unbound = {
    ...model,
    gpu,
    weights: { ...model.weights, maxBinding: Number.POSITIVE_INFINITY },
  };
  const free = await trained(unbound, { recompute: 'none', logitsChunkRows: 128 });
  expect(free.largest).toBeGreaterThan(3 * maxBinding);
  expect(forced.found.losses.length).toBe(2);
  expect(forced.found).toEqual(free.found);

  // Evaluation and answers keep within the binding too, with fewer rows at a time.
  const examples = rows.map(({ ids, labels }, i) => {
    const at = { ids: Int32Array.from(ids), labels: Int32Array.from(labels) };
    return {
      ...at,
      promptIds: at.ids,
      answer: null,
      answerIds: at.ids.subarray(0, 2),
      file: '',
      line: i,
      truncated: false,
    };
  });
  const within = (bytes: number) => ({
    ...model,
    gpu: { ...gpu, maxBinding: bytes },
    weights: { ...model.weights, maxBinding: bytes },
  });
  const few = within(3 * wide.vocab * 4);
  const bound = await peakBuffer(() => evaluateExamples(few, null, examples, null));
  const whole = await peakBuffer(() => evaluateExamples(unbound, null, examples, null));
  expect(bound.largest).toBeLessThanOrEqual(few.gpu.maxBinding);
  expect(whole.largest).toBeGreaterThan(few.gpu.maxBinding);
  expect(Math.abs(bound.value.loss - whole.value.loss)).toBeLessThan(1e-6);
  expect(bound.value.correct).toBe(whole.value.correct);
  const none = within(4000);
  await expect(evaluateExamples(none, null, examples, null)).rejects.toThrow(
    /A row of \d+ tokens needs 1 MiB in one binding/,
  );
  await expect(generate(none, null, [[1, 2]], { maxNewTokens: 1, stopIds: [] })).rejects.toThrow(
    /A prompt of 2 tokens needs/,
  );
  model.memory.destroy();
});

/** The largest buffer that the device is asked for meanwhile. */
async function peakBuffer<T>(work: () => Promise<T>): Promise<{ largest: number; value: T }> {
  const { device } = await testGpu();
  const create = device.createBuffer;
  let largest = 0;
  device.createBuffer = (descriptor) => {
    if (descriptor.usage & GPUBufferUsage.STORAGE) largest = Math.max(largest, descriptor.size);
    return create.call(device, descriptor);
  };
  try {
    return { value: await work(), largest };
  } finally {
    device.createBuffer = create;
  }
}
