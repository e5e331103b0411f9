// Allocations: paths, and the parameter counts of the method's section 4 E (v).
import { expect, test } from 'vitest';
import { siteCost } from '../adapters/methods/methods.ts';
import type { SiteDims } from '../allocation/allocation.ts';
import {
  parameterCount,
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
  const allocation = {
    experts: { 'model.layers.0.self_attn.k_proj': 2, 'model.layers.0.mlp.down_proj': 0 },
    ranks: {
      'model.layers.0.self_attn.k_proj.experts.0': 3,
      'model.layers.0.self_attn.k_proj.experts.1': 1,
    },
  };
  expect(parameterCount(allocation, moe(dims))).toBe(4 * (10 + 6) + 2 * 10);
  expect(siteRanks(allocation, 'model.layers.0.self_attn.k_proj')).toEqual([3, 1]);
  expect(siteRanks(allocation, 'model.layers.0.mlp.down_proj')).toEqual([]);
});
