// Built-in allocations at any depth, their mistakes, the random one's distribution, and fitting to
// a number of parameters.
import { describe, expect, test } from 'vitest';
import { siteCost } from '../adapters/methods/methods.ts';
import type { SiteDims } from '../allocation/allocation.ts';
import { InputError } from '../util/error.ts';
import {
  type Allocation,
  parameterCount,
  siteDims,
  siteRanks,
  targetNames,
  uniformAllocation,
} from './allocation.ts';
import { parseAllocation } from './files.ts';
import {
  fitToParameters,
  layerGroup,
  type PresetName,
  presetAllocation,
  presetNames,
} from './presets.ts';

const moe = (dims: SiteDims) => siteCost('lora-moe', dims);

const options = { layers: 8, targets: targetNames, maxExperts: 8, maxRank: 8, topK: 2, seed: 1 };
const llama7b = siteDims({
  hidden: 4096,
  heads: 32,
  kvHeads: 32,
  headDim: 128,
  feedForward: 11008,
});
const small = siteDims({ hidden: 96, heads: 4, kvHeads: 2, headDim: 24, feedForward: 256 });

/** The one count that all sites of each layer have. */
function layerCounts({ experts }: Allocation, layers: number): number[] {
  return Array.from({ length: layers }, (_, layer) => {
    const counts = new Set(
      Object.keys(experts).flatMap((p) =>
        p.startsWith(`model.layers.${layer}.`) ? [experts[p]] : [],
      ),
    );
    expect(counts.size).toBe(1);
    return [...counts][0];
  });
}

describe('layer groups', () => {
  test.each<[number, number[]]>([
    [1, [0]],
    [2, [0, 2]],
    [3, [0, 1, 2]],
    [4, [0, 1, 2, 3]],
    [5, [0, 0, 1, 2, 3]],
    [6, [0, 0, 1, 2, 2, 3]],
    [8, [0, 0, 1, 1, 2, 2, 3, 3]],
  ])('%i layers', (layers, groups) => {
    expect(Array.from({ length: layers }, (_, l) => layerGroup(l, layers))).toEqual(groups);
  });
  test('30 layers: 8, 7, 8 and 7', () => {
    const sizes = [0, 0, 0, 0];
    for (let l = 0; l < 30; l++) sizes[layerGroup(l, 30)]++;
    expect(sizes).toEqual([8, 7, 8, 7]);
  });
});

describe('presets', () => {
  test.each<[PresetName, number[]]>([
    ['mola-2468', [2, 2, 4, 4, 6, 6, 8, 8]],
    ['mola-8642', [8, 8, 6, 6, 4, 4, 2, 2]],
    ['mola-5555', [5, 5, 5, 5, 5, 5, 5, 5]],
    ['mola-8888', [8, 8, 8, 8, 8, 8, 8, 8]],
    ['mola-2882', [2, 2, 8, 8, 8, 8, 2, 2]],
  ])('%s: counts by layer, every rank the largest', (name, counts) => {
    const allocation = presetAllocation(name, { ...options, maxRank: 5 });
    expect(layerCounts(allocation, 8)).toEqual(counts);
    expect(new Set(Object.values(allocation.ranks))).toEqual(new Set([5]));
  });

  test('hilo: count and rank alike', () => {
    const allocation = presetAllocation('hilo', { ...options, maxRank: 16 });
    expect(layerCounts(allocation, 8)).toEqual([2, 2, 4, 4, 6, 6, 8, 8]);
    for (const [path, count] of Object.entries(allocation.experts))
      expect(siteRanks(allocation, path)).toEqual(Array.from({ length: count }, () => count));
  });

  test('mola-5555 and mola-8888 are the uniform ones; LLaMA-2-7B counts of the method 4 E v', () => {
    const deep = { ...options, layers: 32 };
    expect(presetAllocation('mola-5555', deep)).toEqual(uniformAllocation(32, targetNames, 5, 8));
    expect(parameterCount(presetAllocation('mola-5555', deep), moe(llama7b))).toBe(105_635_840);
    expect(parameterCount(presetAllocation('mola-2468', deep), moe(llama7b))).toBe(105_635_840);
    expect(parameterCount(presetAllocation('mola-8888', deep), moe(llama7b))).toBe(169_017_344);
  });

  test.each(presetNames)(
    '%s: its maps are a valid allocation of the model, at some targets and an odd depth',
    (name) => {
      const few = { ...options, layers: 7, targets: ['v_proj', 'q_proj'] as const };
      const allocation = presetAllocation(name, few);
      expect(parseAllocation(allocation, { ...few, sizes: 'experts' })).toEqual(allocation);
      expect(Object.keys(allocation.experts).length).toBe(14);
    },
  );

  test('random: as the GSVs start, 4.625 experts and rank 4.5 on average for 8×8 and top-2', () => {
    const { experts, ranks } = presetAllocation('random', { ...options, layers: 400 });
    const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    expect(Math.abs(mean(Object.values(experts)) - 4.625)).toBeLessThan(0.15);
    expect(Math.abs(mean(Object.values(ranks)) - 4.5)).toBeLessThan(0.1);
    const share = (n: number) => Object.values(experts).filter((e) => e === n).length / 2800;
    expect(share(1)).toBe(0);
    expect(Math.abs(share(2) - 2 / 8)).toBeLessThan(0.04);
    for (let n = 3; n <= 8; n++) expect(Math.abs(share(n) - 1 / 8)).toBeLessThan(0.03);
    expect(new Set(Object.values(ranks))).toEqual(new Set([1, 2, 3, 4, 5, 6, 7, 8]));
  });

  test('random: the seed decides, other sites do not matter', () => {
    const of = (
      seed: number,
      targets: typeof options.targets | readonly ['q_proj'] = targetNames,
    ) => presetAllocation('random', { ...options, seed, targets });
    expect(of(3)).toEqual(of(3));
    expect(of(3)).not.toEqual(of(4));
    const alone = of(3, ['q_proj']);
    expect(of(3)).toMatchObject(alone);
  });

  test('more experts or rank than allowed are refused', () => {
    const refused = (name: PresetName, limits: object, message: string) => {
      expect(() => presetAllocation(name, { ...options, ...limits })).toThrow(InputError);
      expect(() => presetAllocation(name, { ...options, ...limits })).toThrow(message);
    };
    refused(
      'mola-2468',
      { maxExperts: 7 },
      'allocation "mola-2468" needs an expert count of 8, more than adapter.experts (7)',
    );
    refused(
      'mola-5555',
      { maxExperts: 4 },
      'needs an expert count of 5, more than adapter.experts (4)',
    );
    refused(
      'hilo',
      { maxRank: 6 },
      'allocation "hilo" needs a rank of 8, more than adapter.rank (6)',
    );
    expect(layerCounts(presetAllocation('mola-5555', { ...options, maxExperts: 5 }), 8)[0]).toBe(5);
  });
});

describe('fitToParameters', () => {
  const limits = { maxExperts: 8, maxRank: 8 };
  const named = (name: PresetName | 'uniform') =>
    name === 'uniform' ? uniformAllocation(8, targetNames, 8, 8) : presetAllocation(name, options);
  const names = ['uniform', ...presetNames] as const;
  const within = ({ experts, ranks }: Allocation) => {
    for (const n of Object.values(experts))
      expect(n >= 1 && n <= 8 && Number.isInteger(n)).toBe(true);
    for (const r of Object.values(ranks))
      expect(r >= 1 && r <= 8 && Number.isInteger(r)).toBe(true);
  };

  test.each(names)(
    '%s: within half a percent of N, counts kept, the order of ranks kept',
    (name) => {
      const allocation = named(name);
      const own = parameterCount(allocation, moe(small));
      for (const share of [0.3, 0.5, 0.61, 0.75, 0.9]) {
        const wanted = Math.round(own * share);
        const fitted = fitToParameters(allocation, moe(small), wanted, limits);
        within(fitted);
        expect(fitted.experts).toEqual(allocation.experts);
        expect(Object.keys(fitted.ranks)).toEqual(Object.keys(allocation.ranks));
        expect(Math.abs(parameterCount(fitted, moe(small)) / wanted - 1)).toBeLessThan(0.005);
        const pairs = Object.keys(fitted.ranks).map((key) => [
          allocation.ranks[key],
          fitted.ranks[key],
        ]);
        for (let before = 1; before <= 8; before++) {
          const after = pairs.filter(([r]) => r === before).map(([, r]) => r);
          const above = pairs.filter(([r]) => r > before).map(([, r]) => r);
          if (after.length > 0)
            expect(Math.max(...after) - Math.min(...after)).toBeLessThanOrEqual(1);
          if (after.length > 0 && above.length > 0)
            expect(Math.max(...after)).toBeLessThanOrEqual(Math.min(...above));
        }
      }
    },
  );

  test.each(names)('%s: fitted to its own count it stays what it is', (name) => {
    for (const dims of [small, llama7b]) {
      const allocation = named(name);
      expect(
        fitToParameters(allocation, moe(dims), parameterCount(allocation, moe(dims)), limits),
      ).toEqual(allocation);
    }
  });

  test('all presets come to the same budget', () => {
    const budget = parameterCount(named('mola-2882'), moe(small)) / 2;
    for (const name of names) {
      const got = parameterCount(
        fitToParameters(named(name), moe(small), budget, limits),
        moe(small),
      );
      expect(Math.abs(got / budget - 1), name).toBeLessThan(0.005);
    }
  });

  test('below ranks of 1 the counts shrink, and stay in proportion', () => {
    const allocation = named('mola-2468');
    const ones = {
      ...allocation,
      ranks: Object.fromEntries(Object.keys(allocation.ranks).map((key) => [key, 1])),
    };
    const wanted = Math.round(parameterCount(ones, moe(small)) / 2);
    const fitted = fitToParameters(allocation, moe(small), wanted, limits);
    within(fitted);
    expect(new Set(Object.values(fitted.ranks))).toEqual(new Set([1]));
    expect(Math.abs(parameterCount(fitted, moe(small)) / wanted - 1)).toBeLessThan(0.01);
    expect(layerCounts(fitted, 8)).toEqual([1, 1, 2, 2, 3, 3, 4, 4]);
  });

  test('above the largest ranks the counts grow, up to the maximum', () => {
    const wanted = Math.round(parameterCount(named('mola-2468'), moe(small)) * 1.3);
    const fitted = fitToParameters(named('mola-2468'), moe(small), wanted, limits);
    within(fitted);
    expect(Math.abs(parameterCount(fitted, moe(small)) / wanted - 1)).toBeLessThan(0.01);
    expect(new Set(Object.values(fitted.ranks))).toEqual(new Set([8]));
    for (const [path, n] of Object.entries(named('mola-2468').experts))
      expect(fitted.experts[path]).toBeGreaterThanOrEqual(n);
  });

  test('extra rows go to first experts first, spread over the layers', () => {
    const uniform = uniformAllocation(8, ['q_proj'], 4, 4);
    const row = small.q_proj.inputs + small.q_proj.outputs;
    const wanted = parameterCount(uniformAllocation(8, ['q_proj'], 4, 2), moe(small)) + 4 * row;
    const fitted = fitToParameters(uniform, moe(small), wanted, limits);
    expect(parameterCount(fitted, moe(small))).toBe(wanted);
    const raised = Object.keys(fitted.ranks).filter((key) => fitted.ranks[key] === 3);
    // the four lowest multiples of the golden ratio, modulo 1
    expect(raised.map((key) => Number(key.split('.')[2]))).toEqual([1, 3, 4, 6]);
    expect(raised.every((key) => key.endsWith('.experts.0'))).toBe(true);
  });

  test('sites without experts stay without', () => {
    const allocation: Allocation = {
      experts: { 'model.layers.0.self_attn.q_proj': 0, 'model.layers.0.self_attn.v_proj': 2 },
      ranks: {
        'model.layers.0.self_attn.v_proj.experts.0': 8,
        'model.layers.0.self_attn.v_proj.experts.1': 4,
      },
    };
    const { inputs, outputs } = small.v_proj;
    const fitted = fitToParameters(
      allocation,
      moe(small),
      6 * (inputs + outputs) + 2 * inputs,
      limits,
    );
    expect(fitted).toEqual({
      experts: allocation.experts,
      ranks: {
        'model.layers.0.self_attn.v_proj.experts.0': 4,
        'model.layers.0.self_attn.v_proj.experts.1': 2,
      },
    });
  });

  test('a number out of reach is refused with what can be had', () => {
    const uniform = named('uniform');
    const least = parameterCount(uniformAllocation(8, targetNames, 1, 1), moe(small));
    const most = parameterCount(uniform, moe(small));
    const message = `this allocation can have ${least} to ${most} trainable parameters`;
    for (const n of [1, Math.round(0.9 * least), Math.round(1.1 * most)]) {
      expect(() => fitToParameters(uniform, moe(small), n, limits)).toThrow(InputError);
      expect(() => fitToParameters(uniform, moe(small), n, limits)).toThrow(message);
    }
    expect(fitToParameters(uniform, moe(small), Math.round(1.02 * most), limits)).toEqual(uniform);
    expect(fitToParameters(uniform, moe(small), Math.round(0.98 * least), limits)).toEqual(
      uniformAllocation(8, targetNames, 1, 1),
    );
  });
});
