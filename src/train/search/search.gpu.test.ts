// The bilevel search against PyTorch in float64: G of every GSV, and ten upper steps with their
// lower steps, both estimators and orders.

import { expect, test } from 'vitest';
import { defaultSettings } from '../../adapters/methods/methods.ts';
import { siteDims } from '../../allocation/allocation.ts';
import { allocationJson } from '../../allocation/files.ts';
import { type Folder, readAll } from '../../data/source.ts';
import { openSafetensors, readF32, type TensorEntry } from '../../data/weights/safetensors.ts';
import { extract, insert } from '../../files/adapter-files.ts';
import type { LoadedModel } from '../../model/load.ts';
import { STATISTICS } from '../../ops/loss.ts';
import { goldenModel, owned } from '../../testing/fixtures.ts';
import { goldenFolder, goldenJson } from '../../testing/golden.ts';
import { relativeError, testGpu } from '../../testing/gpu.ts';
import type { Row } from '../batch.ts';
import { alike, type BatchShape, microBatch } from '../batch.ts';
import { learningRate } from '../schedule.ts';
import { layoutSearch, type NamedVector, namedVectors, type SearchLayout } from './layout.ts';
import type { Order, SearchOptions } from './programs.ts';
import { SearchRuntime } from './runtime.ts';
import { selection, siteValues } from './values.ts';

interface SearchRun {
  adapter: {
    method: 'lora' | 'lora-moe';
    targets: ('q_proj' | 'v_proj' | 'down_proj')[];
    rank: number;
    experts?: number;
    topK?: number;
    alpha: number;
    balance?: number;
  };
  search: {
    estimator: 'paper' | 'survival';
    order: Order;
    steps: number;
    batch: number;
    microBatch: number;
    learningRate: number;
    schedule: 'linear' | 'cosine' | 'constant';
    warmupSteps: number;
    weightDecay: number;
    clipNorm: number;
    upperLearningRate: number;
    cost: number;
    budget: number | null;
    closable: boolean;
  };
}

const optionsOf = ({ search: { order, cost, budget } }: SearchRun): SearchOptions => ({
  order,
  sizes: 'argmax',
  cost,
  budget,
  dropout: false,
  seed: 0,
});

interface Setup {
  model: LoadedModel;
  layout: SearchLayout;
  rows: Row[];
  folder: Folder;
  run: SearchRun;
  vectors: ReturnType<typeof namedVectors>;
}

const entriesOf = async (folder: Folder, file: string): Promise<ReadonlyMap<string, TensorEntry>> =>
  (await openSafetensors(folder.open(file)!)).entries;
const take = (v: NamedVector, store: Float32Array): Float32Array =>
  store.slice(v.bank.offset + v.first, v.bank.offset + v.first + v.count);

async function setup(name: string, file: string): Promise<Setup> {
  const gpu = await testGpu();
  const model = await goldenModel('train-moe');
  const run = await goldenJson<SearchRun>(name, file);
  const common = await goldenFolder('search-common');
  const options = { estimator: run.search.estimator, closable: run.search.closable };
  const layout = layoutSearch(
    { ...defaultSettings(), ...run.adapter, dropout: 0 },
    options,
    model.config.layers,
    siteDims(model.config),
  );
  const entries = await entriesOf(
    common,
    `init${run.adapter.method === 'lora' ? '-rank' : ''}${run.search.closable ? '-closable' : ''}.safetensors`,
  );
  const vectors = namedVectors(layout);
  const [lower, upper] = [
    new Float32Array(layout.adapter.store.size),
    new Float32Array(layout.upper.size),
  ];
  for (const t of layout.adapter.tensors) insert(t, await readF32(entries.get(t.name)!), lower);
  for (const v of vectors.lower)
    lower.set(await readF32(entries.get(v.name)!), v.bank.offset + v.first);
  for (const v of vectors.upper)
    upper.set(await readF32(entries.get(v.name)!), v.bank.offset + v.first);
  owned(layout.adapter.store).allocate(gpu, lower);
  owned(layout.upper).allocate(gpu, upper);
  const text = new TextDecoder().decode(await readAll(common.open('data.jsonl')!));
  const rows = text
    .trim()
    .split('\n')
    .map((l) => JSON.parse(l) as { input_ids: number[]; labels: number[] })
    .map((r) => ({ ids: r.input_ids, labels: r.labels }));
  return { model, layout, rows, folder: await goldenFolder(name), run, vectors };
}

for (const name of [
  'search-paper-first',
  'search-paper-second',
  'search-survival-first',
  'search-survival-second',
  'search-budget',
  'search-rank-first',
  'search-rank-second',
  'search-rank-budget-first',
  'search-rank-budget-second',
  'search-rank-closable-first',
  'search-rank-closable-second',
  'search-rank-closable-budget-first',
  'search-rank-closable-budget-second',
]) {
  test(`${name}: G of every GSV equals PyTorch's (1e-4), and leaves w, its gradient and the moments bitwise unchanged`, async () => {
    const s = await setup(name, 'gradients.run.json');
    const { gpu } = s.model;
    const half = Math.ceil(s.rows.length / 2);
    const shape: BatchShape = { rows: half, seqLen: 32, targets: 160 };
    const runtime = owned(
      await SearchRuntime.create(s.model, s.layout, alike(shape), optionsOf(s.run)),
    );
    const [b1, b2] = [
      microBatch(s.rows.slice(0, half), shape),
      microBatch(s.rows.slice(half), shape),
    ];
    // Something in the accumulated gradient, to see that it is kept.
    runtime.lower(b2, { inverseTokens: 0.01 });
    const kinds = ['value', 'grad', 'm', 'v'] as const;
    const before = [];
    for (const k of kinds) before.push(await s.layout.adapter.store.read(gpu, k));
    await runtime.readStatistics();
    runtime.hypergradient(b1, b2, s.run.search.learningRate, s.run.adapter.balance ?? 0);
    const got = await s.layout.upper.read(gpu, 'grad');
    for (const [i, k] of kinds.entries())
      expect(await s.layout.adapter.store.read(gpu, k), k).toEqual(before[i]);
    const golden = await entriesOf(s.folder, 'gradients.safetensors');
    const correction =
      s.run.search.order === 'second-order'
        ? await entriesOf(s.folder, 'correction.safetensors')
        : null;
    const [corrected, corrections]: number[][] = [[], []];
    for (const v of s.vectors.upper) {
      const want = await readF32(golden.get(v.name)!);
      const have = take(v, got);
      if (want.every((x) => x === 0)) expect(Math.max(...have.map(Math.abs)), v.name).toBe(0);
      else expect(relativeError(have, want), v.name).toBeLessThanOrEqual(1e-4);
      if (!correction) continue;
      const part = await readF32(correction.get(v.name)!);
      corrections.push(...part);
      corrected.push(...part.map((c, i) => c + have[i] - want[i]));
    }
    if (correction)
      expect(relativeError(corrected, corrections), 'second-order correction').toBeLessThanOrEqual(
        0.01,
      );
  });

  test(`${name}: ten upper steps with their lower steps follow PyTorch`, async () => {
    const s = await setup(name, 'run.json');
    const { search } = s.run;
    const { balance: coefficient = 0 } = s.run.adapter;
    const { gpu } = s.model;
    const golden = await goldenJson<{
      upper: { upper_loss: number; lambda: number; share: number }[];
      lower: { loss: number; ce: number; balance: number; lr: number; grad_norm: number }[];
      experts?: Record<string, number>;
      ranks: Record<string, number>;
    }>(name, 'run.golden.json');
    const history = await entriesOf(s.folder, 'gsv.safetensors');
    const half = Math.ceil(s.rows.length / 2);
    const levels = [s.rows.slice(0, half), s.rows.slice(half)];
    const shape: BatchShape = { rows: search.microBatch, seqLen: 32, targets: 48 };
    const runtime = owned(
      await SearchRuntime.create(s.model, s.layout, alike(shape), optionsOf(s.run)),
    );
    const accumulate = search.batch / search.microBatch;
    const updates = (search.steps * search.microBatch) / search.batch;
    const batchOf = (level: number, pair: number) =>
      microBatch(
        Array.from(
          { length: search.microBatch },
          (_, i) => levels[level][(pair * search.microBatch + i) % levels[level].length],
        ),
        shape,
      );
    for (let pair = 0; pair < search.steps; pair++) {
      const [b1, b2] = [batchOf(0, pair), batchOf(1, pair)];
      const update = Math.floor(pair / accumulate);
      const lr = learningRate(search, update, updates);
      runtime.beginPair(pair + 1);
      runtime.hypergradient(b1, b2, lr, coefficient);
      const u = await runtime.readUpperStatistics();
      expect(u[STATISTICS.tokens]).toBe(b2.lossTokens);
      const upperLoss =
        u[STATISTICS.crossEntropy] / b2.lossTokens + coefficient * u[STATISTICS.balance];
      expect(
        Math.abs(upperLoss - golden.upper[pair].upper_loss),
        `upper loss of step ${pair + 1}`,
      ).toBeLessThan(1e-3);
      expect(u[STATISTICS.sentinel]).toBe(pair + 1);
      if (search.cost > 0 || search.budget !== null)
        expect((await runtime.readCost()).lambda).toBeCloseTo(golden.upper[pair].lambda, 6);
      runtime.upperUpdate(search.upperLearningRate, pair + 1);
      const { share } = await runtime.readCost();
      if (search.estimator === 'survival') expect(share).toBeCloseTo(golden.upper[pair].share, 5);
      else expect(share).toBe(0);
      const values = await s.layout.upper.read(gpu, 'value');
      for (const v of s.vectors.upper) {
        const want = (await readF32(history.get(v.name)!)).slice(
          (pair + 1) * v.count,
          (pair + 2) * v.count,
        );
        const gap = Math.max(...take(v, values).map((x, i) => Math.abs(x - want[i])));
        expect(gap, `${v.name} after step ${pair + 1}`).toBeLessThan(1e-4);
      }
      const first = update * accumulate;
      const tokens = Array.from(
        { length: accumulate },
        (_, i) => batchOf(0, first + i).lossTokens,
      ).reduce((a, b) => a + b, 0);
      const scalars = {
        learningRate: lr,
        weightDecay: search.weightDecay,
        clipNorm: search.clipNorm,
        inverseTokens: 1 / tokens,
        balanceScale: coefficient / accumulate,
        number: update + 1,
      };
      runtime.lower(b1, scalars);
      if (pair % accumulate !== accumulate - 1) continue;
      runtime.lowerUpdate(scalars);
      const after = await runtime.readStatistics();
      // Both levels are counted apart: the upper steps in between left nothing here.
      expect(after[STATISTICS.tokens]).toBe(tokens);
      const [ce, balance] = [after[STATISTICS.crossEntropy], after[STATISTICS.balance]];
      const line = golden.lower[update];
      expect(Math.abs(ce / tokens - line.ce)).toBeLessThan(1e-3);
      expect(Math.abs(ce / tokens + (coefficient * balance) / accumulate - line.loss)).toBeLessThan(
        1e-3,
      );
      expect(Math.abs(after[STATISTICS.gradNorm] / line.grad_norm - 1)).toBeLessThan(1e-2);
    }
    const upper = await s.layout.upper.read(gpu, 'value');
    const found = selection(s.layout, siteValues(s.layout, upper));
    const { sizes } = s.layout.adapter.method;
    const { experts, ranks } = golden;
    expect(allocationJson(sizes, found)).toEqual(experts ? { experts, ranks } : { ranks });
    const final = await entriesOf(s.folder, 'final.safetensors');
    const values = await s.layout.adapter.store.read(gpu, 'value');
    for (const t of s.layout.adapter.tensors)
      expect(
        relativeError(extract(t, values), await readF32(final.get(t.name)!)),
        t.name,
      ).toBeLessThan(1e-2);
    for (const v of s.vectors.lower)
      expect(
        relativeError(take(v, values), await readF32(final.get(v.name)!)),
        v.name,
      ).toBeLessThan(1e-2);
  });
}
