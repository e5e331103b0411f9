// The estimate of the settings on the page: stages, what is chosen, what cannot be, and that rows are
// asked for once a dataset.

import { expect, test, vi } from 'vitest';
import { SHAPES, SMOLLM2_135M } from '../../bench/shapes.ts';
import { imagined } from '../../gpu/variants.ts';
import { symbolicWeights } from '../../model/weights.ts';
import type { RunConfigInput } from '../../settings/run-config.ts';
import { SUGGESTIONS } from '../../ui/model/suggestions.ts';
import { assessModel, MemoryEstimator } from './memory-estimate.ts';

const config = {
  ...SMOLLM2_135M,
  layers: 2,
  hidden: 48,
  heads: 3,
  kvHeads: 1,
  headDim: 16,
  feedForward: 96,
  vocab: 4096,
};
const model = {
  config,
  weights: symbolicWeights(config, () => 'bf16'),
  variants: imagined(),
  gpu: { maxBinding: 2 ** 31, device: { limits: { maxBufferSize: 2 ** 31 } } },
};
const settings: RunConfigInput = {
  data: { maxLength: 64, validation: 0 },
  adapter: { experts: 4, rank: 4 },
  train: { batch: 8, microBatch: 4 },
};

/** 40 rows of 64 tokens, all of which carry loss. */
function estimating() {
  const all = new Int32Array(40 * 64).fill(1);
  const starts = Int32Array.from({ length: 41 }, (_, i) => 64 * i);
  const examples = vi.fn(async () => ({
    ids: all,
    labels: all,
    starts,
    files: [{ name: 'rows.jsonl', examples: 40 }],
  }));
  const estimator = new MemoryEstimator({ examples });
  return {
    examples,
    estimate: (change: RunConfigInput, reading = 1) =>
      estimator.estimate(model as never, { ...settings, ...change }, reading),
  };
}

test('every stage has its categories, which add up; a budget is kept', async () => {
  const { estimate } = estimating();
  const { stages, problem } = await estimate({ search: { batch: 8, microBatch: 4 } });
  expect(problem).toBeNull();
  expect(stages.map((s) => s.stage)).toEqual(['search', 'training']);
  for (const { bytes, total } of stages)
    expect(Object.values(bytes).reduce((a, b) => a + b, 0)).toBe(total);
  const memory = Math.floor(0.7 * stages[1].total);
  const [training] = (await estimate({ memory })).stages;
  expect(training.total).toBeLessThanOrEqual(memory);
  expect(
    training.recompute !== 'none' || training.logitsChunkRows < 128 || training.microBatch < 4,
  ).toBe(true);
});

test('what cannot fit names settings that do', async () => {
  const { estimate } = estimating();
  const weights = (await estimate({})).stages[0].bytes.weights;
  const { stages, problem } = await estimate({ memory: weights + 100_000 });
  expect(stages).toEqual([]);
  expect(problem?.message).toMatch(/^Training does not fit: it needs .* memory is/);
  expect((await estimate({ adapter: { preset: 'nonsense' } as never })).problem?.message).toMatch(
    /settings/,
  );
});

test('rows are taken once a dataset', async () => {
  const { estimate, examples } = estimating();
  await estimate({}, 1);
  await estimate({ seed: 2 }, 1);
  expect(examples).toHaveBeenCalledTimes(1);
  await estimate({}, 2);
  expect(examples).toHaveBeenCalledTimes(2);
});

test('a suggested shape fits, fits with smaller settings that do fit, or cannot', () => {
  const { gpu } = model;
  const of = (memory: number | null, change: RunConfigInput = {}) =>
    assessModel(gpu as never, 'smollm2-135m', { ...settings, ...change, memory });
  const free = of(null);
  expect(free).toMatchObject({ verdict: 'fits' });
  const { bytes } = free as { bytes: number };
  // The weights alone: 30 layers of 576 with an embedding of 49,152 rows, in 16 bits.
  expect(bytes).toBeGreaterThan(134_515_008 * 2);
  expect(of(bytes)).toEqual(free);
  const tight = of(134_515_008 * 2 + 40e6) as { verdict: string; smaller: string };
  expect(tight.verdict).toBe('tight');
  const [, key, value] = tight.smaller.match(/^adapter\.(experts|rank) (\d+)$/) ?? [];
  const smaller = { experts: 4, rank: 4, [key]: Number(value) };
  const adapter = { ...smaller, topK: Math.min(2, smaller.experts) };
  expect(of(134_515_008 * 2 + 40e6, { adapter })).toMatchObject({ verdict: 'fits' });
  expect(of(134_515_008 * 2)).toEqual({ verdict: 'does-not-fit' });
  // The search needs more than the training, and decides.
  expect(
    (of(null, { search: { batch: 8, microBatch: 4 } }) as { bytes: number }).bytes,
  ).toBeGreaterThan(bytes);
});

test('a model of the Hub is judged by its config.json and the bytes of its weights, or refused by name', () => {
  const { gpu } = model;
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_act: 'silu',
    hidden_size: 576,
    intermediate_size: 1536,
    max_position_embeddings: 8192,
    num_attention_heads: 9,
    num_hidden_layers: 30,
    num_key_value_heads: 3,
    rms_norm_eps: 1e-5,
    rope_theta: 100000,
    tie_word_embeddings: true,
    vocab_size: 49152,
  };
  const of = (change: object, bytes: number) =>
    assessModel(
      gpu as never,
      { name: 'lab/tiny', config: JSON.stringify({ ...config, ...change }), bytes },
      settings,
    );
  const shape = assessModel(gpu as never, 'smollm2-135m', settings) as { bytes: number };
  expect(of({}, 269e6)).toEqual(shape);
  const whole = of({}, 538e6) as { bytes: number };
  // norms are kept in 32 bits either way
  expect(whole.bytes - shape.bytes).toBe(2 * (134_515_008 - 61 * 576));
  expect(of({ model_type: 'mamba', architectures: ['MambaForCausalLM'] }, 1)).toMatchObject({
    verdict: 'refused',
    problem: {
      code: 'bad-model',
      message: expect.stringMatching(/^lab\/tiny\/config\.json.*Mamba/),
    },
  });
  expect(assessModel(gpu as never, { name: 'a', config: '{', bytes: 1 }, settings)).toMatchObject({
    verdict: 'refused',
  });
});

test('every suggested model has a shape', () => {
  for (const { shape, id } of SUGGESTIONS) expect(SHAPES[shape], id).toBeDefined();
});
