// expert.json and rank.json: read back as written, and their mistakes.
import { describe, expect, test } from 'vitest';
import { InputError } from '../util/error.ts';
import { rankKey, uniformAllocation } from './allocation.ts';
import { allocationJson, parseAllocation } from './files.ts';

const q = 'model.layers.0.self_attn.q_proj';
const v = 'model.layers.0.self_attn.v_proj';
const limits = { layers: 1, targets: ['q_proj', 'v_proj'] as const, maxExperts: 4, maxRank: 8 };

describe('expert.json and rank.json', () => {
  const read = (experts: unknown, ranks: unknown, changes = {}) =>
    parseAllocation({ experts, ranks }, { ...limits, sizes: 'experts', ...changes });
  const experts = { [q]: 2, [v]: 1 };
  const ranks = { [`${q}.experts.0`]: 8, [`${q}.experts.1`]: 1, [`${v}.experts.0`]: 4 };

  test('reads back what it wrote, in the order of the model', () => {
    expect(read(experts, ranks)).toEqual({ experts, ranks });
    const uniform = uniformAllocation(1, limits.targets, 4, 8);
    const written = JSON.parse(JSON.stringify(allocationJson('experts', uniform)));
    expect(read(written.experts, written.ranks)).toEqual(uniform);
    const reversed = read(Object.fromEntries(Object.entries(experts).reverse()), ranks);
    expect(Object.keys(reversed.experts)).toEqual([q, v]);
  });

  test('the paper\u2019s rank keys, also those of experts that were not kept', () => {
    const theirs = {
      [`${q}.expertlora_E_vector_0`]: 8,
      [`${q}.expertlora_E_vector_1`]: 1,
      [`${v}.expertlora_E_vector_0`]: 4,
      [`${v}.expertlora_E_vector_1`]: 3,
    };
    expect(read(experts, theirs)).toEqual({ experts, ranks });
  });

  test('counts below top-k, 0 included', () => {
    const none = { experts: { [q]: 0, [v]: 1 }, ranks: { [`${v}.experts.0`]: 4 } };
    expect(read(none.experts, none.ranks)).toEqual(none);
    expect(read({ [q]: 0, [v]: 0 }, {})).toEqual({
      experts: { [q]: 0, [v]: 0 },
      ranks: {},
    });
  });

  test('of a deeper model, and of a shallower one', () => {
    const deep = uniformAllocation(2, limits.targets, 1, 8);
    expect(() => read(deep.experts, deep.ranks)).toThrow(
      'expert.json: "model.layers.1.self_attn.q_proj" is not an adapted linear of this model (1 layers; q_proj, v_proj)',
    );
    expect(() => read(experts, ranks, { layers: 2 })).toThrow(
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
      '"model.layers.1.self_attn.q_proj" is not an adapted linear',
    ],
    ['missing module', { [q]: 2 }, ranks, `"${v}" is missing`],
    ['negative', { ...experts, [q]: -1 }, ranks, `"${q}" is -1`],
    ['fractional', { ...experts, [q]: 1.5 }, ranks, `"${q}" is 1.5`],
    ['text', { ...experts, [q]: '2' }, ranks, `"${q}" is "2"`],
    ['above the maximum', { ...experts, [q]: 5 }, ranks, 'from 0 to 4 (adapter.experts)'],
    ['null', { ...experts, [q]: null }, ranks, `"${q}" is null`],
    ['rank of a closed linear', { ...experts, [v]: 0 }, ranks, 'does not exist: the linear has 0'],
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
    [
      'rank of nobody',
      experts,
      { ...ranks, [`${v}.experts.1`]: 2 },
      'does not exist: the linear has 1',
    ],
    [
      'rank of an unknown module',
      experts,
      { ...ranks, 'lm_head.experts.0': 2 },
      '"lm_head.experts.0" is not an adapted linear',
    ],
    ['rank twice', experts, { ...ranks, [`${q}.expertlora_E_vector_0`]: 8 }, 'appears twice'],
  ];
  test.each(cases)('%s', (_name, e, r, message) => {
    expect(() => read(e, r)).toThrow(InputError);
    expect(() => read(e, r)).toThrow(message);
  });
});

describe('rank.json of one rank a linear', () => {
  const read = (ranks: unknown) =>
    parseAllocation({ ranks }, { ...limits, sizes: 'rank', maxExperts: 1 });

  test('reads back what it wrote, in the order of the model, closed linears included', () => {
    const allocation = { experts: { [q]: 0, [v]: 1 }, ranks: { [rankKey(v, 0)]: 3 } };
    const written = allocationJson('rank', allocation);
    expect(written).toEqual({ ranks: { [q]: 0, [v]: 3 } });
    expect(read(written.ranks)).toEqual(allocation);
    expect(Object.keys(read({ [v]: 3, [q]: 8 }).experts)).toEqual([q, v]);
  });

  const cases: [string, unknown, string][] = [
    ['a list', [], 'rank.json: expected an object {module path: rank}'],
    ['unknown module', { [q]: 1, [v]: 1, lm_head: 1 }, '"lm_head" is not an adapted linear'],
    ['keys of experts', { [rankKey(q, 0)]: 1 }, `"${rankKey(q, 0)}" is not an adapted linear`],
    ['missing module', { [q]: 1 }, `"${v}" is missing`],
    ['negative', { [q]: -1, [v]: 1 }, `"${q}" is -1, not a whole number from 0 (closed) to 8`],
    ['fractional', { [q]: 1.5, [v]: 1 }, `"${q}" is 1.5`],
    ['text', { [q]: '1', [v]: 1 }, `"${q}" is "1"`],
    ['too big', { [q]: 1, [v]: 9 }, `"${v}" is 9`],
  ];
  test.each(cases)('%s', (_name, ranks, message) => {
    expect(() => read(ranks)).toThrow(InputError);
    expect(() => read(ranks)).toThrow(message);
  });
});
