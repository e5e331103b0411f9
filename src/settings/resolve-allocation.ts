// The allocation that a run's settings come to on a model.
import { methodOf, siteCost } from '../adapters/methods/methods.ts';
import { type Allocation, siteDims, uniformAllocation } from '../allocation/allocation.ts';
import { fitToParameters, presetAllocation } from '../allocation/presets.ts';
import { invariant } from '../util/error.ts';
import type { RunConfig } from './run-config.ts';

/**
 * Experts and ranks by `allocation` and `adapter.parameters` of a run's settings. Plain LoRA
 * ignores both: one expert of adapter.rank. `given`: what the search found, or the contents of the
 * files where `allocation` names files. Throws InputError('bad-config') where a preset needs more
 * than adapter.experts or adapter.rank, or adapter.parameters is out of reach.
 */
export function resolveAllocation(
  { adapter, allocation, seed }: RunConfig,
  model: { layers: number } & Parameters<typeof siteDims>[0],
  given?: Allocation,
): Allocation {
  const { method, targets, experts: maxExperts, rank: maxRank, topK, parameters } = adapter;
  const { layers } = model;
  if (!methodOf(method).allocated) return uniformAllocation(layers, targets, 1, maxRank);
  const named = (): Allocation => {
    if (allocation === 'uniform') return uniformAllocation(layers, targets, maxExperts, maxRank);
    if (typeof allocation === 'string' && allocation !== 'search')
      return presetAllocation(allocation, { layers, targets, maxExperts, maxRank, topK, seed });
    invariant(given, 'neither files nor a search have given the allocation');
    return given;
  };
  return parameters === null
    ? named()
    : fitToParameters(named(), siteCost(method, siteDims(model)), parameters, {
        maxExperts,
        maxRank,
      });
}
