// What is chosen to fit the memory, and what is said where nothing fits; no GPU.

import { expect, test } from 'vitest';
import { QWEN25_05B, SMOLLM2_135M } from '../../bench/shapes.ts';
import { imagined } from '../../gpu/variants.ts';
import type { ModelConfig } from '../../model/config.ts';
import { symbolicWeights } from '../../model/weights.ts';
import {
  parseRunConfig,
  parseTrainingConfig,
  type RunConfigInput,
  searches,
  trains,
} from '../../settings/run-config.ts';
import { searchShapes, trainingShapes } from '../run-rows.ts';
import { estimateOf, fitWithin } from './fit.ts';
import { type MemoryRequest, searchRequest, trainingRequest } from './request.ts';

const nano: ModelConfig = {
  ...SMOLLM2_135M,
  layers: 3,
  hidden: 48,
  heads: 3,
  kvHeads: 1,
  headDim: 16,
  feedForward: 96,
  vocab: 4096,
};
const modelOf = (config: ModelConfig, maxBinding?: number) => ({
  config,
  weights: symbolicWeights(config, () => 'bf16', maxBinding),
  variants: imagined(),
});
const binding = 2 ** 31;

/** 40 rows of 64 tokens, all of which carry loss. */
const rows = Array.from({ length: 40 }, () => ({
  ids: new Array<number>(64).fill(1),
  labels: new Array<number>(64).fill(1),
}));

const settings: RunConfigInput = {
  data: { maxLength: 64, validation: 0 },
  adapter: { experts: 4, rank: 4 },
  train: { batch: 8, microBatch: 4 },
};

function training(change: RunConfigInput = {}, model = nano, maxBinding?: number) {
  const config = parseRunConfig({ ...settings, ...change }, 'run.json');
  if (!trains(config)) throw new Error('trains');
  return trainingRequest(modelOf(model, maxBinding), config, trainingShapes(rows, config));
}

function search(change: RunConfigInput['search'] = {}) {
  const config = parseRunConfig(
    { ...settings, train: false, search: { batch: 8, microBatch: 4, ...change } },
    'run.json',
  );
  if (!searches(config)) throw new Error('searches');
  return searchRequest(modelOf(nano), config, searchShapes(rows, config));
}

const at = (memory: number | null, maxBinding = binding) => ({ memory, maxBinding });

test('without a limit nothing is spared; each tighter budget is kept, by recomputation first and smaller micro-batches last', () => {
  const request = training();
  const lavish = fitWithin(request, at(null));
  expect(lavish).toMatchObject({ microBatch: 4, recompute: 'none', logitsChunkRows: 128 });
  let { total } = lavish.estimate;
  const seen = [lavish];
  for (;;) {
    try {
      const choice = fitWithin(request, at(total - 1));
      expect(choice.estimate.total).toBeLessThan(total);
      ({ total } = choice.estimate);
      seen.push(choice);
    } catch {
      break;
    }
  }
  expect(seen.length).toBeGreaterThan(4);
  expect(seen.map((c) => c.microBatch)).toEqual(
    seen.map((c) => c.microBatch).sort((a, b) => b - a),
  );
  expect(seen.at(-1)?.microBatch).toBe(1);
  for (const { microBatch } of seen) expect(8 % microBatch).toBe(0);
  // The reported estimate equals a fresh one of the same choice.
  for (const { estimate, ...choice } of seen)
    expect(
      estimateOf(request, choice, { ...request.given, microBatch: choice.microBatch }),
    ).toEqual(estimate);
});

test('categories add up, and those that the method fixes do not change', () => {
  const request = training();
  const [none, block] = (['none', 'block'] as const).map((recompute) =>
    estimateOf(request, { recompute, logitsChunkRows: 128 }, request.given),
  );
  for (const estimate of [none, block])
    expect(Object.values(estimate.bytes).reduce((a, b) => a + b, 0)).toBe(estimate.total);
  for (const key of ['weights', 'adapter', 'optimizer'] as const)
    expect(block.bytes[key]).toBe(none.bytes[key]);
  expect(none.bytes.optimizer).toBe(3 * none.bytes.adapter);
  expect(block.bytes.activations).toBeLessThan(0.7 * none.bytes.activations);
  expect(none.bytes.logits).toBe(128 * nano.vocab * 4);
  expect(
    estimateOf(request, { recompute: 'none', logitsChunkRows: 64 }, request.given).bytes.logits,
  ).toBe(64 * nano.vocab * 4);
  expect(none.bytes.cache).toBe(0);
});

test('where nothing fits, the message names settings that do', () => {
  const request = training();
  const least = estimateOf(
    request,
    { recompute: 'block', logitsChunkRows: 8 },
    { ...request.given, microBatch: 1 },
  );
  const message = (
    limits: Parameters<typeof fitWithin>[1],
    of: MemoryRequest = request,
  ): string => {
    try {
      fitWithin(of, limits);
    } catch (e) {
      expect((e as Error).name).toBe('InputError:too-large');
      return (e as Error).message;
    }
    throw new Error('it fits');
  };
  const text = message(at(least.total - 100_000));
  expect(text).toContain('Training does not fit: it needs');
  for (const name of ['data.maxLength', 'adapter.experts', 'adapter.rank'] as const) {
    const value = Number(new RegExp(`${name} (\\d+) \\(`).exec(text)?.[1]);
    const change = {
      'data.maxLength': 'maxLength',
      'adapter.experts': 'experts',
      'adapter.rank': 'rank',
    }[name];
    const lower = estimateOf(
      request,
      { recompute: 'block', logitsChunkRows: 8 },
      { ...request.given, microBatch: 1, [change]: value },
    );
    expect(lower.total, name).toBeLessThanOrEqual(least.total - 100_000);
  }
  expect(message(at(1000))).toContain('No smaller settings of this model fit');
});

test('rows of logits at a time are no more than one binding holds, whether memory is limited or not', () => {
  const small = { ...nano, vocab: 512 };
  const request = training({ adapter: { experts: 1, rank: 1, topK: 1 } }, small);
  const rowBytes = small.vocab * 4;
  const largest = estimateOf(request, { recompute: 'none', logitsChunkRows: 8 }, request.given)
    .largest.bytes;
  const forced = Math.ceil(largest / rowBytes); // what the activations need anyway
  expect(forced).toBeGreaterThan(1);
  expect(forced).toBeLessThan(128);
  for (const memory of [null, binding]) {
    expect(fitWithin(request, at(memory, 128 * rowBytes)).logitsChunkRows).toBe(128);
    expect(fitWithin(request, at(memory, 128 * rowBytes - 4)).logitsChunkRows).toBe(127);
    const choice = fitWithin(request, at(memory, forced * rowBytes));
    expect(choice).toMatchObject({ logitsChunkRows: forced, microBatch: 4 });
    expect(choice.estimate.largest.bytes).toBeLessThanOrEqual(forced * rowBytes);
  }
  // Activations of long rows cannot be cut: smaller settings are named.
  expect(() => fitWithin(request, at(null, 4 * 64 * 2 * small.feedForward * 4 - 4))).toThrow(
    /in one binding.* It fits with train\.microBatch 2 .*data\.maxLength/,
  );
  expect(() => fitWithin(request, at(null, rowBytes - 4))).toThrow(
    /in one binding.*No smaller settings of this model fit/,
  );
});

test.each([
  [SMOLLM2_135M.vocab, 128],
  [QWEN25_05B.vocab, 41], // 152k
  [262_144, 128], // in windows of 49,152
])('logits of a vocabulary of %i take no more memory than of 49,152', (vocab, rows) => {
  const most = 128 * 49_152 * 4;
  const request = training({}, { ...nano, vocab }, 128 * 2 ** 20);
  const fitted = fitWithin(request, at(null, 128 * 2 ** 20));
  expect(fitted.logitsChunkRows).toBe(rows);
  const { logits } = fitted.estimate.bytes;
  expect(logits).toBeLessThanOrEqual(most);
  expect(logits).toBeGreaterThan(0.98 * most);
  const asked = { recompute: 'none', logitsChunkRows: 1000 } as const;
  expect(estimateOf(request, asked, request.given).bytes.logits).toBe(logits);
});

test('a search keeps its micro-batch, which a message may propose to lower', () => {
  const request = search();
  const given = fitWithin(request, at(null));
  expect(given.microBatch).toBe(4);
  const saved = fitWithin(request, at(given.estimate.total - 1));
  expect(saved.microBatch).toBe(4);
  const least = estimateOf(request, { recompute: 'block', logitsChunkRows: 8 }, request.given);
  expect(() => fitWithin(request, at(least.total - 1))).toThrow(
    /The search does not fit.*search\.microBatch 2 \(/,
  );
  const second = search({ order: 'second-order' });
  expect(
    estimateOf(second, { recompute: 'none', logitsChunkRows: 128 }, second.given).total,
  ).toBeGreaterThan(given.estimate.total);
});

test('packing: rows are as long as maxLength lets them be', () => {
  const short = rows.map((r) => ({ ids: r.ids.slice(0, 20), labels: r.labels.slice(0, 20) }));
  const shapes = (packing: boolean) =>
    trainingShapes(
      short,
      parseTrainingConfig({ ...settings, data: { ...settings.data, packing } }, 'run.json'),
    )(2, 64);
  expect(shapes(false)).toEqual({
    micro: [{ rows: 1, seqLen: 40, targets: 2 * 19, longest: 24 }],
    evaluation: { rows: 2, seqLen: 24, targets: 2 * 19 },
    padding: 0,
  });
  expect(shapes(true)).toEqual({
    micro: [{ rows: 1, seqLen: 120, targets: 2 * 3 * 19, longest: 64 }],
    evaluation: { rows: 2, seqLen: 64, targets: 2 * 3 * 19 },
    padding: expect.closeTo(0.015, 1),
  });
});

test('a run of precision "fast" has products in half precision, and is refused where there are none', () => {
  const config = parseTrainingConfig({ ...settings, precision: 'fast' }, 'run.json');
  const shapes = trainingShapes(rows, config);
  const model = modelOf(nano);
  const kernelsOf = (of: MemoryRequest) =>
    fitWithin(of, at(null))
      .recording.programs.get('micro')![0]
      .commands.flatMap((c) => (c.type === 'dispatch' ? [c.kernel.name] : []));
  const isHalf = (name: string) => name.endsWith('_half');
  expect(kernelsOf(trainingRequest(model, config, shapes)).some(isHalf)).toBe(true);
  expect(kernelsOf(training()).some(isHalf)).toBe(false);
  const { device, names } = model.variants;
  const variants = { names, device: { ...device, f16: false } };
  expect(() => trainingRequest({ ...model, variants }, config, shapes)).toThrow(
    'this GPU or browser does not offer it',
  );
});

test('models of full size are estimated in seconds', () => {
  for (const model of [SMOLLM2_135M, QWEN25_05B]) {
    const started = performance.now();
    const request = training({}, model);
    const estimate = estimateOf(request, { recompute: 'mlp', logitsChunkRows: 32 }, request.given);
    expect(estimate.total).toBeGreaterThan(estimate.bytes.weights);
    expect(performance.now() - started).toBeLessThan(20_000);
  }
});
