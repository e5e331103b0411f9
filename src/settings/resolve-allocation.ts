// The allocation that a run's settings come to on a model.
import { type MethodName, methodOf, siteCost, sizeLimits } from '../adapters/methods/methods.ts';
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

/** Whether all linears have the same one rank, by these settings. */
export const hasOneRank = ({
  adapter,
  allocation,
}: Pick<RunConfig, 'adapter' | 'allocation'>): boolean =>
  methodOf(adapter.method).sizes === 'rank' && allocation === 'uniform';

/**
 * Experts and ranks by `allocation` and `adapter.parameters` of a run's settings. With one rank a
 * site and all alike, that is adapter.rank or the one nearest to the parameters. `given`: what the
 * search found, or the contents of the files where `allocation` names files. Throws
 * InputError('bad-config') where a preset needs more than adapter.experts or adapter.rank, or
 * adapter.parameters is out of reach.
 */
export function resolveAllocation(
  { adapter, allocation, seed }: RunConfig,
  model: ModelShape,
  given?: Allocation,
): Allocation {
  const { method, targets, topK, parameters } = adapter;
  const { maxExperts, maxRank } = sizeLimits(adapter);
  const { layers } = model;
  if (hasOneRank({ adapter, allocation })) {
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

/** The adapter that a run trains with an allocation. One rank of all linears is r_max itself. */
export const trainedAdapter = (
  config: Pick<RunConfig, 'adapter' | 'allocation'>,
  allocation: Allocation,
): RunConfig['adapter'] & { allocation: Allocation } => {
  const { adapter } = config;
  const rank = hasOneRank(config) ? Math.max(...Object.values(allocation.ranks)) : adapter.rank;
  return { ...adapter, rank, allocation };
};
