// The allocation that settings come to: by name, from files, fitted to a number of parameters, and
// that of plain LoRA.
import { describe, expect, test } from 'vitest';
import { layoutAdapter } from '../adapters/layout.ts';
import { siteCost } from '../adapters/methods/methods.ts';
import type { SiteDims } from '../allocation/allocation.ts';
import {
  parameterCount,
  siteDims,
  siteRanks,
  targetNames,
  uniformAllocation,
} from '../allocation/allocation.ts';
import { presetAllocation, presetNames } from '../allocation/presets.ts';
import { adapterConfig } from '../files/adapter-files.ts';
import { resolveAllocation, trainedAdapter } from './resolve-allocation.ts';
import { parseRunConfig } from './run-config.ts';

const moe = (dims: SiteDims) => siteCost('lora-moe', dims);

const model = { layers: 6, hidden: 32, heads: 4, kvHeads: 2, headDim: 8, feedForward: 48 };
const dims = siteDims(model);
const parse = (json: unknown) => parseRunConfig(json, 'run.json');
const resolve = (json: unknown) => resolveAllocation(parse(json), model);

describe('by name', () => {
  test('uniform: adapter.experts of adapter.rank', () => {
    expect(resolve({ adapter: { experts: 3, rank: 4 } })).toEqual(
      uniformAllocation(6, targetNames, 3, 4),
    );
  });
  test.each(presetNames)('%s: with the settings\u2019 maxima, top-k and seed', (allocation) => {
    const seed = 5;
    const adapter = { experts: 9, rank: 12, topK: 3, targets: ['q_proj', 'up_proj'] as const };
    const options = {
      layers: 6,
      targets: adapter.targets,
      maxExperts: 9,
      maxRank: 12,
      topK: 3,
      seed,
    };
    expect(resolve({ seed, adapter, allocation })).toEqual(presetAllocation(allocation, options));
  });
});

test('adapter.parameters: presets and files are fitted, within the maxima', () => {
  const adapter = {
    experts: 8,
    rank: 8,
    parameters: parameterCount(uniformAllocation(6, targetNames, 5, 4), moe(dims)),
  };
  for (const allocation of ['uniform', ...presetNames]) {
    const got = parameterCount(resolve({ adapter, allocation }), moe(dims));
    expect(Math.abs(got / adapter.parameters - 1), allocation).toBeLessThan(0.01);
  }
  const config = parse({ adapter, allocation: { experts: 'e.json', ranks: 'r.json' } });
  const fitted = resolveAllocation(config, model, uniformAllocation(6, targetNames, 5, 8));
  expect(fitted).toEqual(uniformAllocation(6, targetNames, 5, 4));
  expect(() => resolve({ adapter: { parameters: 3 } })).toThrow(
    'adapter.parameters is 3: this allocation can have',
  );
});

test('files as they are without a budget', () => {
  const files = uniformAllocation(6, targetNames, 2, 3);
  expect(
    resolveAllocation(parse({ allocation: { experts: 'e', ranks: 'r' } }), model, files),
  ).toEqual(files);
});

test('plain LoRA has adapter.rank, or the rank nearest to adapter.parameters', () => {
  const lora = (adapter: object) => resolve({ adapter: { method: 'lora', ...adapter } });
  const uniform = (rank: number) => uniformAllocation(6, targetNames, 1, rank);
  expect(lora({ rank: 4 })).toEqual(uniform(4));
  const size = (rank: number) => parameterCount(uniform(rank), siteCost('lora', dims));
  expect(lora({ parameters: size(20) + 5 })).toEqual(uniform(20));
  expect(lora({ parameters: 1 })).toEqual(uniform(1));
  const config = parse({ adapter: { method: 'lora', rank: 8, parameters: size(3) } });
  const layout = layoutAdapter(trainedAdapter(config, resolveAllocation(config, model)), 6, dims);
  expect(adapterConfig(layout, 'base')).toMatchObject({ r: 3, lora_alpha: 16, rank_pattern: {} });
});

test('adapter_config.json and the tensors have what was resolved; counts below top-k, 0 included, are laid out', () => {
  const config = parse({ adapter: { experts: 8, rank: 8, topK: 2 }, allocation: 'hilo' });
  const allocation = resolveAllocation(config, model);
  const layout = layoutAdapter({ ...config.adapter, allocation }, 6, dims);
  expect(adapterConfig(layout, 'base')).toMatchObject({ ...allocation, r_max: 8, top_k: 2 });

  const q = 'model.layers.2.self_attn.q_proj';
  const one = { experts: { ...allocation.experts }, ranks: { ...allocation.ranks } };
  one.experts[q] = 1;
  one.experts['model.layers.2.self_attn.k_proj'] = 0;
  const [group] = [...layoutAdapter({ ...config.adapter, allocation: one }, 6, dims).groups].filter(
    ([key]) => key === '2 q_proj',
  );
  expect(group[1].sites.map((s) => [s.target, s.ranks.length])).toEqual([
    ['q_proj', 1],
    ['v_proj', allocation.experts['model.layers.2.self_attn.v_proj']],
  ]);
  expect(siteRanks(one, q)).toEqual([allocation.ranks[`${q}.experts.0`]]);
});
