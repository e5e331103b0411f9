// The bill against the bytes of every buffer that the device was asked for, at the peak of whole runs; recomputation changes no bit of them.
import { expect, test } from 'vitest';
import { defaultVariants } from '../gpu/variants.ts';
import { Generator } from '../model/generate.ts';
import type { LoadedModel } from '../model/load.ts';
import { SMOLLM2_135M } from '../model/shapes.ts';
import { symbolicWeights } from '../model/weights.ts';
import { testGpu } from '../testing/gpu.ts';
import { Random } from '../util/random.ts';
import type { Row, Thrift } from './batch.ts';
import { randomModel } from './bench.ts';
import { generationBill } from './bill.ts';
import { parseRunConfig, type RunConfig, type RunConfigInput, searches, trains } from './config.ts';
import { type Need, searchNeed, trainingNeed } from './fit.ts';
import { shapesOf } from './run-rows.ts';
import { SearchSession } from './search-session.ts';
import { Session } from './session.ts';

const nano = { ...SMOLLM2_135M, layers: 3, hidden: 32, heads: 2, kvHeads: 1, headDim: 16, feedForward: 48, vocab: 64 };
const random = new Random(1, 'rows');
const rows: Row[] = Array.from({ length: 10 }, (_, i) => {
  const ids = Array.from({ length: 5 + 2 * i }, () => Math.floor(random.uniform() * nano.vocab));
  return { ids, labels: ids };
});

/** Bytes at the peak of a random model and of whatever `use` makes beside it. */
async function peakOf<T>(use: (model: LoadedModel) => Promise<T>): Promise<{ bytes: number; value: T }> {
  const { created } = await testGpu();
  const before = created.held;
  created.peak = before;
  const model = randomModel(await testGpu(), nano, undefined, 'bf16');
  const value = await use(model);
  model.memory.destroy();
  expect(created.held).toBe(before);
  return { bytes: created.peak - before, value };
}

function needOf(model: Parameters<typeof searchNeed>[0], config: RunConfig): Need {
  if (searches(config)) return searchNeed(model, config, shapesOf(rows, config, 'train'));
  if (trains(config)) return trainingNeed(model, config, shapesOf(rows, config));
  throw new Error('nothing to do');
}

/** A whole run; what it trained. */
async function run(model: LoadedModel, config: RunConfig, thrift: Thrift): Promise<Float32Array> {
  const session = searches(config)
    ? await SearchSession.create({ model, rows, config, thrift })
    : trains(config) && (await Session.create({ model, rows, config, thrift }));
  if (!session) throw new Error('nothing to do');
  await session.run();
  const values = session instanceof Session ? await session.values() : (await session.state()).upper;
  session.destroy();
  return values;
}

const base: RunConfigInput = { data: { maxLength: 24, validation: 0.2 }, adapter: { experts: 3, rank: 2 } };
const train = { steps: 1, batch: 4, microBatch: 4 };
const search = { steps: 2, batch: 4, microBatch: 2 };
const cases: Record<string, RunConfigInput> = {
  'plain LoRA': { ...base, adapter: { method: 'lora', rank: 2, dropout: 0 }, train },
  'LoRA-MoE with dropout': { ...base, train },
  'LoRA-MoE, rows packed': { ...base, data: { ...base.data, packing: true }, train: { ...train, batch: 2, microBatch: 2 } },
  'a search, first order': { ...base, train: false, search },
  'a search, second order': { ...base, train: false, search: { ...search, order: 'second-order', cost: 0.1 } },
};

for (const [name, json] of Object.entries(cases)) {
  test(`${name}: under every policy the bill is what the device is asked for, and the values are the same`, async () => {
    const gpu = await testGpu();
    const symbolic = { config: nano, weights: symbolicWeights(nano, () => 'bf16'), variants: defaultVariants(gpu) };
    const config = parseRunConfig(json, 'run.json');
    const need = needOf(symbolic, config);
    let first: Float32Array | null = null;
    for (const recompute of ['none', 'mlp', 'block'] as const) {
      const thrift = { recompute, chunk: recompute === 'none' ? 128 : 8 };
      const { bytes, value } = await peakOf((model) => run(model, config, thrift));
      expect(bytes, recompute).toBe(need.bill(thrift, need.given).total);
      first ??= value;
      expect(value).toEqual(first);
    }
  });
}

test('generation: the bill with its cache is what the device is asked for', async () => {
  const { bytes, value } = await peakOf(async (model) => {
    const bill = generationBill(model, null, 3, 20, 5);
    const generator = await Generator.create(model, null, 3, 20, 5);
    await generator.generate([[1, 2, 3], [4]], { maxNewTokens: 5, stopIds: [] });
    generator.destroy();
    return bill;
  });
  expect(bytes).toBe(value.total);
  expect(value.bytes.cache).toBe(2 * nano.layers * 3 * 48 * 16 * 4);
});
