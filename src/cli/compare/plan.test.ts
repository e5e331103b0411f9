// Plans: settings of every method by merging, equal parameters, and mistakes by name.
import { describe, expect, test } from 'vitest';
import { siteCost } from '../../adapters/methods/methods.ts';
import type { SiteDims } from '../../allocation/allocation.ts';
import {
  parameterCount,
  siteDims,
  targetNames,
  uniformAllocation,
} from '../../allocation/allocation.ts';
import { nearestRank } from '../../settings/resolve-allocation.ts';
import { deepMerge, parsePlan } from './plan.ts';
import { cycle, shuffleLayers } from './shuffle.ts';

const moe = (dims: SiteDims) => siteCost('lora-moe', dims);

const model = { layers: 4, hidden: 32, heads: 4, kvHeads: 2, headDim: 8, feedForward: 48 };
const good = {
  run: { adapter: { parameters: 9000, dropout: 0 }, train: { steps: 7, batch: 4, microBatch: 2 } },
  methods: {
    uniform: {},
    'plain LoRA': { adapter: { method: 'lora' } },
    'LoRA 3': { adapter: { method: 'lora', rank: 3 } },
    few: { adapter: { experts: 2 }, train: { steps: 9 } },
    found: { search: { steps: 3, batch: 4, microBatch: 2 } },
    'found, shuffled': { shuffled: 'found' },
  },
  seeds: [1, 2],
  learningRates: [1e-2, 1e-3],
  baseline: 'uniform',
};
const parse = (change: object = {}) => parsePlan({ ...good, ...change }, 'plan.json', model);
const withMethod = (settings: object) => () =>
  parse({ methods: { ...good.methods, odd: settings } });

test('settings are merged, seed and learning rate put in, defaults filled in', () => {
  const plan = parse();
  expect([plan.tuneSeeds, plan.learningRates]).toEqual([
    [101, 102],
    [1e-3, 1e-2],
  ]);
  const [uniform, , , few, found, twin] = plan.methods;
  expect(uniform.config(2, 0.5)).toMatchObject({
    seed: 2,
    train: { steps: 7, learningRate: 0.5 },
    adapter: { experts: 8, parameters: 9000 },
  });
  expect(few.config(1, 0.5)).toMatchObject({
    train: { steps: 9, batch: 4 },
    adapter: { experts: 2, dropout: 0 },
  });
  expect(found).toMatchObject({ searches: true, shuffled: false, slug: 'found' });
  expect(twin).toMatchObject({
    searches: true,
    shuffled: true,
    origin: 'found',
    slug: 'found-shuffled',
  });
  expect(twin.config(1, 0.5)).toEqual(found.config(1, 0.5));
});

test('plain LoRA gets the rank nearest to the parameters, unless it has its own', () => {
  const [, lora, three] = parse().methods;
  expect(lora.config(1, 0.1).adapter.rank).toBe(nearestRank('lora', 9000, targetNames, model));
  expect(three.config(1, 0.1).adapter.rank).toBe(3);
  const of = (rank: number) =>
    parameterCount(uniformAllocation(4, targetNames, 1, rank), moe(siteDims(model)));
  const rows = (rank: number) => rank * (of(2) - of(1)); // without routers
  for (const n of [1, 5000, 9000, 12_345]) {
    const best = nearestRank('lora', n, targetNames, model);
    for (const other of [best - 1, best + 1])
      if (other > 0)
        expect(Math.abs(rows(best) - n)).toBeLessThanOrEqual(Math.abs(rows(other) - n));
  }
});

test('what a method lacks of run is dropped for it; its own must apply', () => {
  const run = {
    ...good.run,
    adapter: { ...good.run.adapter, topK: 3, scale: 'per-expert' },
    allocation: 'hilo',
  };
  const { uniform: all, 'plain LoRA': plain } = good.methods;
  const [uniform, lora] = parse({ run, methods: { uniform: all, plain } }).methods;
  expect(uniform.config(1, 0.1).adapter).toMatchObject({ topK: 3, scale: 'per-expert' });
  expect(lora.config(1, 0.1)).toMatchObject({
    allocation: 'uniform',
    adapter: { topK: 2, scale: 'constant', parameters: null },
  });
  expect(withMethod({ adapter: { method: 'lora', topK: 3 } })).toThrow(
    'method "odd": unknown key "adapter.topK" for method "lora" (it belongs to lora-moe)',
  );
  expect(withMethod({ adapter: { method: 'lora' }, search: { estimator: 'paper' } })).toThrow(
    'method "odd": search.estimator is "paper": does not apply to method "lora"',
  );
  expect(withMethod({ adapter: { method: 'lora' }, allocation: 'hilo' })).toThrow(
    'method "odd": allocation is "hilo": does not apply to method "lora"',
  );
  expect(() => parse({ run: { adapter: { ranks: 3 } } })).toThrow('unknown key "adapter.ranks"');
});

test('deepMerge: objects by key, all else replaced', () => {
  expect(deepMerge({ a: { b: 1, c: [1, 2] }, d: false }, { a: { c: [3] }, d: { e: 1 } })).toEqual({
    a: { b: 1, c: [3] },
    d: { e: 1 },
  });
});

describe('mistakes', () => {
  test.each<[string, () => unknown, RegExp]>([
    ['unknown key', () => parse({ seed: 3 }), /plan\.json: unknown key "seed"/],
    ['no seeds', () => parse({ seeds: [] }), /seeds: /],
    ['a seed twice', () => parse({ seeds: [1, 1] }), /seeds: names a seed twice/],
    ['a rate of 0', () => parse({ learningRates: [0] }), /learningRates\.0: /],
    ['baseline', () => parse({ baseline: 'none' }), /baseline is "none", which is not a method/],
    [
      'an unknown setting',
      withMethod({ adapter: { ranks: 3 } }),
      /method "odd": unknown key "adapter\.ranks"/,
    ],
    [
      'a seed in a method',
      withMethod({ seed: 3 }),
      /method "odd": "seed" is set by the plan's seeds/,
    ],
    [
      'a rate in run',
      () => parse({ run: { train: { learningRate: 1 } } }),
      /plan\.json run: "train\.learningRate" is set by/,
    ],
    ['data in a method', withMethod({ data: {} }), /method "odd": "data" belongs to run/],
    ['no training', withMethod({ train: false, search: {} }), /method "odd": train is false/],
    [
      'nothing to choose by',
      () => parse({ run: { data: { validation: 0 } } }),
      /"data\.validation" is 0/,
    ],
    [
      'a twin of nothing',
      withMethod({ shuffled: 'none' }),
      /method "odd": shuffled is "none", which is not a method/,
    ],
    [
      'a twin of a twin',
      withMethod({ shuffled: 'found, shuffled' }),
      /which is not a method with layers of its own/,
    ],
    [
      'a twin with settings',
      withMethod({ shuffled: 'found', train: {} }),
      /method "odd": "train" cannot be combined with/,
    ],
    [
      'a twin of plain LoRA',
      withMethod({ shuffled: 'plain LoRA' }),
      /the layers of "plain LoRA" are all alike/,
    ],
    [
      'names alike',
      () => parse({ methods: { ...good.methods, 'plain lora!': {} } }),
      /differs from another's only in punctuation/,
    ],
  ])('%s', (_, run, message) => expect(run).toThrow(message));
});

test('a cycle moves every layer, and differs by seed', () => {
  for (let seed = 0; seed < 50; seed++) {
    const order = cycle(5, seed);
    expect([...order].sort()).toEqual([0, 1, 2, 3, 4]);
    expect(order.every((from, to) => from !== to)).toBe(true);
  }
  expect(
    new Set(Array.from({ length: 50 }, (_, seed) => cycle(5, seed).join())).size,
  ).toBeGreaterThan(10);
});

test('shuffled layers: sizes move as whole layers, parameters stay', () => {
  const targets = ['q_proj', 'down_proj'] as const;
  const allocation = uniformAllocation(3, targets, 2, 4);
  allocation.experts['model.layers.0.self_attn.q_proj'] = 1;
  delete allocation.ranks['model.layers.0.self_attn.q_proj.experts.1'];
  allocation.ranks['model.layers.1.mlp.down_proj.experts.0'] = 7;
  const order = cycle(3, 4);
  const shuffled = shuffleLayers(allocation, 3, targets, 4);
  expect(shuffled.experts[`model.layers.${order.indexOf(0)}.self_attn.q_proj`]).toBe(1);
  expect(shuffled.ranks[`model.layers.${order.indexOf(1)}.mlp.down_proj.experts.0`]).toBe(7);
  expect(parameterCount(shuffled, moe(siteDims(model)))).toBe(
    parameterCount(allocation, moe(siteDims(model))),
  );
  expect(Object.keys(shuffled.ranks).length).toBe(Object.keys(allocation.ranks).length);
});
