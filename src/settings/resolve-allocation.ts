// The allocation that a run's settings come to on a model.
import { type MethodName, methodOf, siteCost } from '../adapters/methods/methods.ts';
import {
  type Allocation,
  parameterCount,
  siteDims,
  type Target,
  uniformAllocation,
} from '../allocation/allocation.ts';
import { fitToParameters, presetAllocation } from '../allocation/presets.ts';
import { invariant } from '../util/error.ts';
import type { RunConfig } from './run-config.ts';

/** What an allocation depends on of a model (a ModelConfig will do). */
export type ModelShape = { layers: number } & Parameters<typeof siteDims>[0];

/** The rank, of one expert in every linear, whose parameters come nearest to `parameters`. */
export function nearestRank(
  method: MethodName,
  parameters: number,
  targets: readonly Target[],
  model: ModelShape,
): number {
  const cost = siteCost(method, siteDims(model));
  const row = parameterCount(uniformAllocation(model.layers, targets, 1, 1), cost);
  return Math.min(1024, Math.max(1, Math.round(parameters / row)));
}

/**
 * Experts and ranks by `allocation` and `adapter.parameters` of a run's settings. A method without
 * an allocation has one expert of adapter.rank, or of the rank nearest to the parameters. `given`:
 * what the search found, or the contents of the files where `allocation` names files. Throws
 * InputError('bad-config') where a preset needs more than adapter.experts or adapter.rank, or
 * adapter.parameters is out of reach.
 */
export function resolveAllocation(
  { adapter, allocation, seed }: RunConfig,
  model: ModelShape,
  given?: Allocation,
): Allocation {
  const { method, targets, experts: maxExperts, rank: maxRank, topK, parameters } = adapter;
  const { layers } = model;
  if (!methodOf(method).allocated) {
    const rank = parameters === null ? maxRank : nearestRank(method, parameters, targets, model);
    return uniformAllocation(layers, targets, 1, rank);
  }
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
