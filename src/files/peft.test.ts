// Plain LoRA in PEFT's adapter_config.json: what is written is read back, and what PEFT can do and
// this program can't is refused by name.
import { expect, test } from 'vitest';
import { type AdapterSpec, layoutAdapter } from '../adapters/layout.ts';
import { defaultSettings } from '../adapters/methods/methods.ts';
import {
  allocationOfRanks,
  siteDims,
  sitePaths,
  uniformAllocation,
} from '../allocation/allocation.ts';
import { adapterConfig, parseAdapterConfig } from './adapter-files.ts';

const LAYERS = 2;
const dims = siteDims({ hidden: 12, heads: 3, kvHeads: 1, headDim: 4, feedForward: 20 });
const targets = ['q_proj', 'v_proj', 'down_proj'] as const;
const paths = sitePaths(LAYERS, targets);

const specOf = (ranks: readonly number[]): AdapterSpec => ({
  ...defaultSettings(),
  method: 'lora',
  targets,
  rank: 6,
  alpha: 9,
  dropout: 0,
  allocation: allocationOfRanks(Object.fromEntries(paths.map((path, i) => [path, ranks[i]]))),
});
const written = (ranks: readonly number[]) =>
  adapterConfig(layoutAdapter(specOf(ranks), LAYERS, dims), 'base');
const read = (changes: object, ranks = [6, 6, 6, 6, 6, 6]) =>
  parseAdapterConfig({ ...written(ranks), ...changes }, LAYERS, 'a.json');

test('one rank of all linears: their names, and no patterns', () => {
  expect(written([6, 6, 6, 6, 6, 6])).toMatchObject({
    r: 6,
    lora_alpha: 9,
    target_modules: ['down_proj', 'q_proj', 'v_proj'],
    rank_pattern: {},
    alpha_pattern: {},
  });
});

test('a rank a linear: full paths of the open ones, α·r/R_max, and s = α/R_max when read back', () => {
  const ranks = [1, 0, 6, 2, 0, 5];
  const config = written(ranks);
  const open = paths.filter((_, i) => ranks[i] > 0);
  expect(config.target_modules).toEqual(open);
  expect(config.rank_pattern).toEqual({
    [paths[0]]: 1,
    [paths[2]]: 6,
    [paths[3]]: 2,
    [paths[5]]: 5,
  });
  expect(config.alpha_pattern).toEqual({
    [paths[0]]: 1.5,
    [paths[2]]: 9,
    [paths[3]]: 3,
    [paths[5]]: 7.5,
  });
  const back = read({}, ranks);
  expect(back).toMatchObject({ rank: 6, alpha: 9 });
  // v_proj is closed in both layers, and so no target of the file
  const { allocation } = specOf(ranks);
  const without = Object.entries(allocation.experts).filter(([path]) => !path.endsWith('v_proj'));
  expect(back.allocation.ranks).toEqual(allocation.ranks);
  expect(back.allocation.experts).toEqual(Object.fromEntries(without));
  const layout = layoutAdapter(back, LAYERS, dims);
  for (const { sites } of layout.groups.values())
    for (const { scales } of sites) expect(scales).toEqual([1.5]);
});

test('all of one rank below R_max keep their scale', () => {
  const back = read({}, [3, 3, 3, 3, 3, 3]);
  expect(back).toMatchObject({ rank: 6, alpha: 9 });
  expect(new Set(Object.values(back.allocation.ranks))).toEqual(new Set([3]));
});

test('modules and patterns by the end of a path, as PEFT matches them', () => {
  const back = read({
    target_modules: ['0.self_attn.q_proj', 'v_proj'],
    rank_pattern: { v_proj: 3 },
    alpha_pattern: { v_proj: 4.5 },
  });
  expect(back.targets).toEqual(['q_proj', 'v_proj']);
  expect(back.allocation).toEqual(
    allocationOfRanks({ [paths[0]]: 6, [paths[1]]: 3, [paths[3]]: 0, [paths[4]]: 3 }),
  );
});

test('ranks above r, and one alpha of its own for all', () => {
  const back = read({ rank_pattern: { q_proj: 12, v_proj: 12, down_proj: 12 } });
  expect(back).toMatchObject({ rank: 12, alpha: 9 });
  expect(back.allocation).toEqual(uniformAllocation(LAYERS, targets, 1, 12));
  const other = read({ rank_pattern: { q_proj: 3, v_proj: 3, down_proj: 3 } });
  expect(other).toMatchObject({ rank: 6, alpha: 18 }); // s = 9 / 3
});

test.each<[object, RegExp]>([
  [{ rank_pattern: { q_proj: 3 } }, /give linears different alpha \/ rank \(1\.5 to 3\)/],
  [{ rank_pattern: { '.*q_proj': 3 } }, /"rank_pattern" has the regular expression "\.\*q_proj"/],
  [{ rank_pattern: { q_proj: 1.5 } }, /"q_proj" is 1\.5, not a whole number of at least 1/],
  [{ target_modules: ['lm_head'] }, /"target_modules" has "lm_head"; supported are q_proj/],
  [{ target_modules: ['model.layers.2.self_attn.q_proj'] }, /in a model of 2 layers/],
  [{ target_modules: 'all-linear' }, /"target_modules" must be a list of linears/],
  [{ use_dora: true }, /"use_dora" is true, which is not supported/],
])('%j is refused', (changes, message) => {
  expect(() => read(changes)).toThrow(message);
});
