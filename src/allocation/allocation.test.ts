// Allocations: paths, files and their mistakes, and the parameter counts of the method's section 4
// E (v).
import { describe, expect, test } from 'vitest';
import { siteCost } from '../adapters/methods/methods.ts';
import type { SiteDims } from '../allocation/allocation.ts';
import { InputError } from '../util/error.ts';
import {
  parameterCount,
  parseAllocation,
  siteDims,
  sitePaths,
  siteRanks,
  targetNames,
  uniformAllocation,
} from './allocation.ts';

const moe = (dims: SiteDims) => siteCost('lora-moe', dims);

const llama7b = siteDims({
  hidden: 4096,
  heads: 32,
  kvHeads: 32,
  headDim: 128,
  feedForward: 11008,
});

test('module paths, layer by layer, in the order of a layer whatever order is asked for', () => {
  expect(sitePaths(2, ['down_proj', 'q_proj'])).toEqual([
    'model.layers.0.self_attn.q_proj',
    'model.layers.0.mlp.down_proj',
    'model.layers.1.self_attn.q_proj',
    'model.layers.1.mlp.down_proj',
  ]);
  expect(sitePaths(32, targetNames).length).toBe(224);
});

test('LLaMA-2-7B: 105,635,840 parameters for 5555 at rank 8, 169,017,344 for 8888 (method 4 E v)', () => {
  expect(parameterCount(uniformAllocation(32, targetNames, 5, 8), moe(llama7b))).toBe(105_635_840);
  expect(parameterCount(uniformAllocation(32, targetNames, 8, 8), moe(llama7b))).toBe(169_017_344);
});

test('unequal ranks and a closed site count as Σ R_i (C + O) + E·C', () => {
  const dims = siteDims({ hidden: 10, heads: 2, kvHeads: 1, headDim: 6, feedForward: 7 });
  const allocation = parseAllocation(
    { 'model.layers.0.self_attn.k_proj': 2, 'model.layers.0.mlp.down_proj': 0 },
    {
      'model.layers.0.self_attn.k_proj.experts.0': 3,
      'model.layers.0.self_attn.k_proj.experts.1': 1,
    },
    { layers: 1, targets: ['k_proj', 'down_proj'], maxExperts: 2, maxRank: 3 },
  );
  expect(parameterCount(allocation, moe(dims))).toBe(4 * (10 + 6) + 2 * 10);
  expect(siteRanks(allocation, 'model.layers.0.self_attn.k_proj')).toEqual([3, 1]);
  expect(siteRanks(allocation, 'model.layers.0.mlp.down_proj')).toEqual([]);
});

describe('parseAllocation', () => {
  const limits = { layers: 1, targets: ['q_proj', 'v_proj'] as const, maxExperts: 4, maxRank: 8 };
  const q = 'model.layers.0.self_attn.q_proj';
  const v = 'model.layers.0.self_attn.v_proj';
  const experts = { [q]: 2, [v]: 1 };
  const ranks = { [`${q}.experts.0`]: 8, [`${q}.experts.1`]: 1, [`${v}.experts.0`]: 4 };

  test('reads back what it wrote, in the order of the model', () => {
    expect(parseAllocation(experts, ranks, limits)).toEqual({ experts, ranks });
    const uniform = uniformAllocation(1, limits.targets, 4, 8);
    expect(
      parseAllocation(JSON.parse(JSON.stringify(uniform.experts)), uniform.ranks, limits),
    ).toEqual(uniform);
    const reversed = parseAllocation(
      Object.fromEntries(Object.entries(experts).reverse()),
      ranks,
      limits,
    );
    expect(Object.keys(reversed.experts)).toEqual([q, v]);
  });

  test('the paper\u2019s rank keys, also those of experts that were not kept', () => {
    const theirs = {
      [`${q}.expertlora_E_vector_0`]: 8,
      [`${q}.expertlora_E_vector_1`]: 1,
      [`${v}.expertlora_E_vector_0`]: 4,
      [`${v}.expertlora_E_vector_1`]: 3,
    };
    expect(parseAllocation(experts, theirs, limits)).toEqual({ experts, ranks });
  });

  test('counts below top-k, 0 included', () => {
    const none = { experts: { [q]: 0, [v]: 1 }, ranks: { [`${v}.experts.0`]: 4 } };
    expect(parseAllocation(none.experts, none.ranks, limits)).toEqual(none);
    expect(parseAllocation({ [q]: 0, [v]: 0 }, {}, limits)).toEqual({
      experts: { [q]: 0, [v]: 0 },
      ranks: {},
    });
  });

  test('of a deeper model, and of a shallower one', () => {
    const deep = uniformAllocation(2, limits.targets, 1, 8);
    expect(() => parseAllocation(deep.experts, deep.ranks, limits)).toThrow(
      'expert.json: "model.layers.1.self_attn.q_proj" is no adapted linear of this model (1 layers; q_proj, v_proj)',
    );
    expect(() => parseAllocation(experts, ranks, { ...limits, layers: 2 })).toThrow(
      'expert.json: "model.layers.1.self_attn.q_proj" is missing',
    );
  });

  const cases: [string, unknown, unknown, string][] = [
    ['experts is a list', [], ranks, 'expert.json: expected an object'],
    ['ranks is null', experts, null, 'rank.json: expected an object'],
    [
      'unknown module',
      { ...experts, 'model.layers.1.self_attn.q_proj': 1 },
      ranks,
      '"model.layers.1.self_attn.q_proj" is no adapted linear',
    ],
    ['missing module', { [q]: 2 }, ranks, `"${v}" is missing`],
    ['negative', { ...experts, [q]: -1 }, ranks, `"${q}" is -1`],
    ['fractional', { ...experts, [q]: 1.5 }, ranks, `"${q}" is 1.5`],
    ['text', { ...experts, [q]: '2' }, ranks, `"${q}" is "2"`],
    ['above the maximum', { ...experts, [q]: 5 }, ranks, 'from 0 to 4 (adapter.experts)'],
    ['null', { ...experts, [q]: null }, ranks, `"${q}" is null`],
    ['rank of a closed linear', { ...experts, [v]: 0 }, ranks, 'not there: the linear has 0'],
    [
      'rank fractional',
      experts,
      { ...ranks, [`${q}.experts.1`]: 2.5 },
      'is 2.5, not a whole number from 1 to 8',
    ],
    [
      'rank missing',
      experts,
      { ...ranks, [`${q}.experts.1`]: undefined },
      `"${q}.experts.1" is undefined`,
    ],
    [
      'rank not there',
      experts,
      { [`${q}.experts.0`]: 8, [`${v}.experts.0`]: 4 },
      `"${q}.experts.1" is missing`,
    ],
    [
      'rank 0',
      experts,
      { ...ranks, [`${q}.experts.1`]: 0 },
      'is 0, not a whole number from 1 to 8 (adapter.rank)',
    ],
    ['rank too big', experts, { ...ranks, [`${q}.experts.1`]: 9 }, 'is 9'],
    ['rank of nobody', experts, { ...ranks, [`${v}.experts.1`]: 2 }, 'not there: the linear has 1'],
    [
      'rank of an unknown module',
      experts,
      { ...ranks, 'lm_head.experts.0': 2 },
      '"lm_head.experts.0" is no adapted linear',
    ],
    ['rank twice', experts, { ...ranks, [`${q}.expertlora_E_vector_0`]: 8 }, 'there twice'],
  ];
  test.each(cases)('%s', (_name, e, r, message) => {
    expect(() => parseAllocation(e, r, limits)).toThrow(InputError);
    expect(() => parseAllocation(e, r, limits)).toThrow(message);
  });
});
