// The search's programs by themselves: drawn sizes, GSVs written from outside, dropout, and what
// must equal the ordinary runtime.

import { expect, test } from 'vitest';
import { layoutAdapter } from '../../adapters/layout.ts';
import { defaultSettings } from '../../adapters/methods/methods.ts';
import { siteDims, uniformAllocation } from '../../allocation/allocation.ts';
import { extract, insert } from '../../files/adapter-files.ts';
import { STATISTICS } from '../../ops/loss.ts';
import { distribution, openExperts } from '../../reference/gsv.ts';
import { goldenModel, owned } from '../../testing/fixtures.ts';
import { relativeError, testGpu, values } from '../../testing/gpu.ts';
import { alike, type BatchShape, microBatch } from '../batch.ts';
import { Runtime } from '../runtime.ts';
import { layoutSearch, type SearchLayout } from './layout.ts';
import type { SearchOptions } from './programs.ts';
import { SearchRuntime } from './runtime.ts';

const [experts, rank, topK] = [4, 3, 2];
const spec = {
  ...defaultSettings(),
  method: 'lora-moe' as const,
  experts,
  targets: ['q_proj', 'v_proj', 'down_proj'] as const,
  rank,
  topK,
  alpha: 6,
  dropout: 0,
};
const shape: BatchShape = { rows: 2, seqLen: 16, targets: 30 };
const plain: SearchOptions = {
  order: 'first-order',
  sizes: 'argmax',
  cost: 0,
  budget: null,
  dropout: false,
  seed: 3,
};
const scalars = { inverseTokens: 0.1, balanceScale: 0.01, number: 1 };

/** A search of random tensors on the nano model; the batches have a short row. */
async function setup(options: Partial<SearchOptions>, closable = false) {
  const gpu = await testGpu();
  const model = await goldenModel('train-moe');
  const layout = layoutSearch(
    spec,
    { estimator: 'survival', closable },
    model.config.layers,
    siteDims(model.config),
  );
  const { store } = layout.adapter;
  const lower = values(1, store.size, 0.2);
  for (const { rowScale } of layout.banks.values())
    lower.fill(1, rowScale.offset, rowScale.offset + rowScale.shape[1]);
  owned(store).allocate(gpu, lower);
  owned(layout.upper).allocate(gpu);
  writeGsvs(layout, values(2, layout.upper.size));
  const batch = (first: number) => {
    const row = (from: number, length: number) =>
      Array.from({ length }, (_, t) => (from + 7 * t) % model.config.vocab);
    return microBatch(
      [row(first, 16), row(first + 1, 9)].map((ids) => ({ ids, labels: ids })),
      shape,
    );
  };
  const runtime = owned(
    await SearchRuntime.create(model, layout, alike(shape), { ...plain, ...options }),
  );
  return { gpu, model, layout, store, runtime, b1: batch(1), b2: batch(3) };

  function writeGsvs(to: SearchLayout, data: Float32Array<ArrayBuffer>): void {
    to.upper.write(gpu, 'value', data);
  }
}

test('drawn sizes: as likely as π says, the same in all passes of a pair, another draw for the next, and again with the seed', async () => {
  const { gpu, layout, runtime, b1, b2 } = await setup({
    sizes: 'sampled',
    order: 'second-order',
  });
  const pairs = 400;
  const all: Uint32Array[] = [];
  for (let pair = 1; pair <= pairs; pair++) {
    runtime.beginPair(pair);
    all.push(await runtime.readSizes());
  }
  const g = await layout.upper.read(gpu, 'value');
  let chi = 0;
  let freedom = 0;
  const judge = (place: number, p: readonly number[]) => {
    p.forEach((v, k) => {
      if (v > 0)
        chi +=
          (all.filter((sizes) => sizes[place] === k + 1).length - pairs * v) ** 2 / (pairs * v);
    });
    freedom += p.filter((v) => v > 0).length - 1;
  };
  for (const { group, ...b } of layout.banks.values()) {
    for (let s = 0; s < group.sites; s++) {
      const place = group.start + s * (experts + 1);
      const p = distribution(
        g.subarray(b.experts!.offset + s * experts, b.experts!.offset + (s + 1) * experts),
      );
      judge(place, [0, p[0] + p[1], ...p.slice(2)]); // at least top-k
      for (let e = 0; e < experts; e++) {
        const at = b.ranks.offset + (s * experts + e) * rank;
        judge(place + 1 + e, distribution(g.subarray(at, at + rank)));
      }
    }
  }
  // χ² has mean `freedom` and variance 2·freedom: four standard deviations either way.
  expect(Math.abs(chi - freedom) / Math.sqrt(2 * freedom)).toBeLessThan(4);
  expect(all[1]).not.toEqual(all[0]);

  runtime.beginPair(5);
  runtime.hypergradient(b1, b2, 0.1, 0.01);
  expect(await runtime.readSizes()).toEqual(all[4]);
  runtime.upperUpdate(0.5, 1);
  runtime.lower(b1, scalars);
  expect(await runtime.readSizes()).toEqual(all[4]);
  expect(await layout.upper.read(gpu, 'value')).not.toEqual(g);
  layout.upper.write(gpu, 'value', g);
  runtime.beginPair(4);
  expect(await runtime.readSizes()).toEqual(all[3]);
  const other = await setup({ sizes: 'sampled', seed: 4 });
  other.runtime.beginPair(4);
  expect(await other.runtime.readSizes()).not.toEqual(all[3]);
});

test('sizes and λ follow what is written from outside; argmax sizes do not depend on the pair', async () => {
  const { gpu, layout, runtime } = await setup({ budget: 0.4 }, true);
  expect(await runtime.readCost()).toEqual({ lambda: Math.fround(0.1), share: 0 });
  runtime.writeLambda(0.25);
  expect((await runtime.readCost()).lambda).toBe(0.25);
  const before = await runtime.readSizes();
  const g = values(77, layout.upper.size);
  layout.upper.write(gpu, 'value', g);
  expect(await runtime.readSizes()).toEqual(before);
  runtime.refreshSizes();
  const after = await runtime.readSizes();
  for (const { group, ...b } of layout.banks.values()) {
    for (let s = 0; s < group.sites; s++) {
      const at = b.experts!.offset + s * (experts + 1);
      expect(after[group.start + s * (experts + 1)]).toBe(
        openExperts(g.subarray(at, at + experts + 1), topK, true),
      );
    }
  }
  runtime.beginPair(9);
  expect(await runtime.readSizes()).toEqual(after);
});

test('a search that goes on elsewhere from its values, moments and λ gives the same bits', async () => {
  const search = { sizes: 'sampled', order: 'second-order', budget: 0.3 } as const;
  const a = await setup(search, true);
  const b = await setup(search, true);
  const pair = (s: typeof a, n: number) => {
    s.runtime.beginPair(n);
    s.runtime.hypergradient(s.b1, s.b2, 0.01, 0.01);
    s.runtime.upperUpdate(0.05, n);
    s.runtime.lower(s.b1, scalars);
    s.runtime.lowerUpdate({ learningRate: 0.01, clipNorm: 1, number: n });
  };
  for (let n = 1; n <= 4; n++) pair(a, n);
  for (let n = 1; n <= 2; n++) pair(b, n);
  const c = await setup(search, true);
  for (const store of ['store', 'upper'] as const) {
    const of = (s: typeof a) => (store === 'store' ? s.store : s.layout.upper);
    for (const kind of ['value', 'm', 'v'] as const)
      c.gpu.device.queue.writeBuffer(of(c).buffers![kind], 0, await of(b).read(b.gpu, kind));
  }
  c.runtime.writeLambda((await b.runtime.readCost()).lambda);
  for (let n = 3; n <= 4; n++) pair(c, n);
  expect(await c.layout.upper.read(c.gpu, 'value')).toEqual(
    await a.layout.upper.read(a.gpu, 'value'),
  );
  expect(await c.store.read(c.gpu, 'value')).toEqual(await a.store.read(a.gpu, 'value'));
  expect(await c.runtime.readCost()).toEqual(await a.runtime.readCost());
});

test('the sources to copy from: statistics with the pair as sentinel, λ and share, GSVs; and the lower level apart', async () => {
  const { gpu, layout, runtime, b1, b2 } = await setup({ cost: 0.5 });
  runtime.beginPair(6);
  runtime.hypergradient(b1, b2, 0, 0);
  runtime.upperUpdate(0.05, 6);
  const [lowerRing, [statistics, cost, gsvs]] = runtime.sources;
  const noted = await runtime.readUpperStatistics();
  expect([noted[STATISTICS.tokens], noted[STATISTICS.sentinel]]).toEqual([b2.lossTokens, 6]);
  expect(noted[STATISTICS.gradNorm]).toBeGreaterThan(0);
  expect([statistics.size, cost.size, gsvs]).toEqual([
    STATISTICS.size * 4,
    8,
    layout.upper.buffers!.value,
  ]);
  const { lambda, share } = await runtime.readCost();
  expect(lambda).toBe(0.5);
  expect(share).toBeGreaterThan(0.2);
  expect(share).toBeLessThan(1);
  expect((await runtime.readStatistics())[STATISTICS.tokens]).toBe(0);
  runtime.lower(b1, scalars);
  expect(lowerRing.length).toBe(1);
  expect((await runtime.readStatistics())[STATISTICS.tokens]).toBe(b1.lossTokens);
  const { lower, upper } = runtime.flops;
  expect(upper / lower).toBeGreaterThan(0.5);
  expect(upper / lower).toBeLessThan(1.3);
  gpu.check();
});

test('dropout is in the lower micro-step alone', async () => {
  const results = [];
  for (const dropout of [false, true]) {
    const { gpu, layout, store, runtime, b1, b2 } = await setup({
      dropout,
      order: 'second-order',
    });
    runtime.hypergradient(b1, b2, 0.1, 0.01);
    const G = await layout.upper.read(gpu, 'grad');
    const gradients = [];
    for (const rate of [0, 0.5]) {
      gpu.device.queue.writeBuffer(store.buffers!.grad, 0, new Float32Array(store.size));
      runtime.lower(b1, { ...scalars, dropout: rate, seed: 9 });
      gradients.push(await store.read(gpu, 'grad'));
    }
    results.push({ G, gradients });
  }
  const [without, with_] = results;
  expect(with_.G).toEqual(without.G);
  expect(relativeError(with_.gradients[0], without.gradients[0])).toBeLessThan(1e-6);
  expect(without.gradients[1]).toEqual(without.gradients[0]);
  expect(relativeError(with_.gradients[1], without.gradients[1])).toBeGreaterThan(0.05);
});

test('the balance term moves no GSV: first-order G has the same bits whatever its coefficient', async () => {
  const { gpu, layout, runtime, b1, b2 } = await setup({});
  const G = [];
  for (const balance of [0, 100]) {
    gpu.device.queue.writeBuffer(
      layout.upper.buffers!.grad,
      0,
      new Float32Array(layout.upper.size),
    );
    runtime.hypergradient(b1, b2, 0.1, balance);
    G.push(await layout.upper.read(gpu, 'grad'));
  }
  expect(G[1]).toEqual(G[0]);
  expect(Math.max(...G[0].map(Math.abs))).toBeGreaterThan(0);
});

test('all experts and rows open with e = 1 equal uniform experts of full rank (MoLA-8888 there): loss and gradients within 1e-6', async () => {
  const { gpu, model, layout, store, runtime, b1 } = await setup({});
  const open = new Float32Array(layout.upper.size);
  for (const { experts: e, ranks: r } of layout.banks.values())
    for (const bank of [e!, r])
      for (let i = bank.shape[1] - 1; i < bank.shape[0] * bank.shape[1]; i += bank.shape[1])
        open[bank.offset + i] = 1;
  layout.upper.write(gpu, 'value', open);
  runtime.refreshSizes();
  const allocation = uniformAllocation(model.config.layers, spec.targets, experts, rank);
  const uniform = layoutAdapter(
    { ...spec, allocation },
    model.config.layers,
    siteDims(model.config),
  );
  const from = await store.read(gpu, 'value');
  const to = new Float32Array(uniform.store.size);
  const mine = layout.adapter.tensors;
  const theirs = uniform.tensors;
  mine.forEach((t, i) => insert(theirs[i], extract(t, from), to));
  owned(uniform.store).allocate(gpu, to);
  const training = owned(await Runtime.create(model, uniform, alike(shape), { dropout: false }));
  runtime.lower(b1, scalars);
  training.micro(b1, scalars);
  const [got, want] = [await runtime.readStatistics(), await training.readStatistics()];
  for (const k of ['crossEntropy', 'balance'] as const)
    expect(Math.abs(got[STATISTICS[k]] / want[STATISTICS[k]] - 1), k).toBeLessThan(1e-6);
  const [g, w] = [await store.read(gpu, 'grad'), await uniform.store.read(gpu, 'grad')];
  mine.forEach((t, i) =>
    expect(relativeError(extract(t, g), extract(theirs[i], w)), t.name).toBeLessThan(1e-6),
  );
});
