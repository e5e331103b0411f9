// What the stages of a run ask of a device's memory, with these settings or with smaller ones.
import { type AdapterLayout, layoutAdapter } from '../../adapters/layout.ts';
import { methodOf, sizeLimits } from '../../adapters/methods/methods.ts';
import { type Allocation, siteDims, uniformAllocation } from '../../allocation/allocation.ts';
import type { SymbolicModel } from '../../model/load.ts';
import { inPrecision } from '../../ops/families.ts';
import {
  hasOneRank,
  resolveAllocation,
  trainedAdapter,
} from '../../settings/resolve-allocation.ts';
import type { RunConfig, SearchConfig, TrainingConfig } from '../../settings/run-config.ts';
import { InputError } from '../../util/error.ts';
import type { MemoryOptions } from '../batch.ts';
import type { Recording } from '../program-set.ts';
import type { ShapesFor } from '../run-rows.ts';
import { recordTraining, type TrainingRecording } from '../runtime.ts';
import { recordSearch, type SearchRecording } from '../search/programs.ts';
import { searchLayout, searchOptions } from '../search/setup.ts';
import { estimateStage, type MemoryEstimate } from './estimate.ts';

/** Settings that can be made smaller. */
export interface Reducible {
  maxLength: number;
  experts: number;
  rank: number;
  microBatch: number;
}

/** A stage of a run, as far as its memory goes. */
export interface MemoryRequest<R extends Recording<string> = Recording<string>> {
  stage: 'search' | 'training';
  vocab: number;
  given: Reducible;
  /**
   * Divisors of the batch up to the micro-batch that is set, largest first; whether one of them may
   * be chosen unasked.
   */
  microBatches: readonly number[];
  free: boolean;
  /** Which of the settings a message may propose to lower. */
  proposals: readonly (keyof Reducible)[];
  record(memoryOptions: MemoryOptions, settings: Reducible): R;
  /** The estimate of what was recorded. */
  estimate(recording: R): MemoryEstimate;
}

const divisors = (n: number): number[] =>
  Array.from({ length: n }, (_, i) => n - i).filter((d) => n % d === 0);

const shrunk = <C extends RunConfig>(config: C, { maxLength, experts, rank }: Reducible): C => ({
  ...config,
  data: { ...config.data, maxLength },
  adapter: { ...config.adapter, experts, rank, topK: Math.min(config.adapter.topK, experts) },
});

const givenBy = ({ data, adapter }: RunConfig, microBatch: number): Reducible => ({
  maxLength: data.maxLength,
  experts: adapter.experts,
  rank: adapter.rank,
  microBatch,
});

/**
 * The training of a run. Before its search has found an allocation, the largest one allowed stands
 * in for it.
 */
export function trainingRequest(
  given: SymbolicModel,
  config: TrainingConfig,
  shapesFor: ShapesFor,
  allocation?: Allocation,
): MemoryRequest<TrainingRecording<AdapterLayout>> {
  const { train, adapter } = config;
  const model = preciselyAs(given, config);
  const { layers } = model.config;
  const { allocation: named } = config;
  const taken = hasOneRank(config) ? undefined : allocation;
  const adjustable =
    !taken && adapter.parameters === null && (named === 'uniform' || named === 'search');
  return {
    stage: 'training',
    vocab: model.config.vocab,
    given: givenBy(config, train.microBatch),
    microBatches: divisors(train.batch).filter((d) => d <= train.microBatch),
    free: true,
    proposals: ['microBatch', 'maxLength', ...(adjustable ? sizesOf(config) : [])],
    estimate: (recording) => estimateStage(model, recording),
    record: (memoryOptions, settings) => {
      const changed = shrunk(config, settings);
      const { maxExperts, maxRank } = sizeLimits(changed.adapter);
      const largest = () => uniformAllocation(layers, adapter.targets, maxExperts, maxRank);
      const found =
        taken ?? (named === 'search' ? largest() : resolveAllocation(changed, model.config));
      const layout = layoutAdapter(trainedAdapter(changed, found), layers, siteDims(model.config));
      if (layout.store.size === 0)
        throw new InputError(
          'bad-config',
          'The allocation closes every linear: there is nothing to train. Give one a rank, or an expert.',
        );
      const shapes = shapesFor(settings.microBatch, settings.maxLength);
      return recordTraining(model, layout, shapes, { dropout: adapter.dropout > 0, memoryOptions });
    },
  };
}

/** The settings that an adapter's sizes are limited by. */
const sizesOf = ({ adapter }: RunConfig): (keyof Reducible)[] =>
  methodOf(adapter.method).sizes === 'experts' ? ['experts', 'rank'] : ['rank'];

/** A model with the kernels of a run's precision. */
const preciselyAs = (model: SymbolicModel, { precision }: RunConfig): SymbolicModel => ({
  ...model,
  variants: inPrecision(model.variants, precision),
});

/** The search of a run. Its micro-batch is part of the method: it can be proposed, never chosen. */
export function searchRequest(
  given: SymbolicModel,
  config: SearchConfig,
  shapesFor: ShapesFor,
): MemoryRequest<SearchRecording> {
  const { search } = config;
  const model = preciselyAs(given, config);
  return {
    stage: 'search',
    vocab: model.config.vocab,
    given: givenBy(config, search.microBatch),
    microBatches: divisors(search.batch).filter((d) => d <= search.microBatch),
    free: false,
    proposals: ['microBatch', 'maxLength', ...sizesOf(config)],
    estimate: (recording) => estimateStage(model, recording),
    record: (memoryOptions, settings) => {
      const changed = shrunk(config, settings);
      const shapes = shapesFor(settings.microBatch, settings.maxLength);
      const options = { ...searchOptions(changed), memoryOptions };
      return recordSearch(model, searchLayout(changed, model.config), shapes, options);
    },
  };
}
