// Makes a run fit the memory there is: micro-batch, recomputation and rows of logits at a time, or
// else the nearest settings that would fit.

import { type AdapterLayout, layoutAdapter } from '../../adapters/layout.ts';
import { methodOf, sizeLimits } from '../../adapters/methods/methods.ts';
import { type Allocation, siteDims, uniformAllocation } from '../../allocation/allocation.ts';
import type { Gpu } from '../../gpu/device.ts';
import type { SymbolicModel } from '../../model/load.ts';
import { inPrecision } from '../../ops/families.ts';
import {
  hasOneRank,
  resolveAllocation,
  trainedAdapter,
} from '../../settings/resolve-allocation.ts';
import type { RunConfig, SearchConfig, TrainingConfig } from '../../settings/run-config.ts';
import { InputError } from '../../util/error.ts';
import { DEFAULT_MEMORY_OPTIONS, logitsAtOnce, type MemoryOptions } from '../batch.ts';
import type { Recording } from '../program-set.ts';
import { POLICIES } from '../programs.ts';
import type { ShapesFor } from '../run-rows.ts';
import { recordTraining, type TrainingRecording } from '../runtime.ts';
import { recordSearch, type SearchRecording } from '../search/programs.ts';
import { searchLayout, searchOptions } from '../search/setup.ts';
import { estimateStage, type MemoryEstimate } from './estimate.ts';

/** Without a `memory` limit, recomputation is switched on when activations plus logits exceed this. */
const AUTO_RECOMPUTE_ABOVE_BYTES = 2 * 2 ** 30;

/** Rows of logits at a time, from fast to small. */
const CHUNKS = [DEFAULT_MEMORY_OPTIONS.logitsChunkRows, 32, 8];

/** How a stage runs within its memory. */
export interface MemoryPlan extends MemoryOptions {
  microBatch: number;
}

/** What there is. */
export interface Limits {
  /** Bytes of all buffers together (run.json's `memory`); null: not limited. */
  memory: number | null;
  /** Bytes of one binding, and of one buffer. */
  maxBinding: number;
}

/** The limits of a run on a device. */
export const limitsOf = ({ maxBinding }: Gpu, { memory }: RunConfig): Limits => ({
  memory,
  maxBinding,
});

/** Settings that can be made smaller. */
interface Reducible {
  maxLength: number;
  experts: number;
  rank: number;
  microBatch: number;
}

/** How a stage runs, what that takes, and what it records. */
export type Fitted<R> = MemoryPlan & { estimate: MemoryEstimate; recording: R };

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

const within = (estimate: MemoryEstimate, { memory, maxBinding }: Limits): boolean =>
  estimate.total <= (memory ?? Number.POSITIVE_INFINITY) && estimate.largest.bytes <= maxBinding;

/**
 * The fastest way to run a stage within the limits: the micro-batch as it is set while any other
 * saving is enough, little recomputation before much, many rows of logits at a time before few, and
 * never more than one binding holds. Without a limit of memory only recomputation is chosen, to
 * stay below 2 GiB of activations.
 * @param memoryOptions is taken as it is, where given
 * @throws InputError naming the nearest settings that fit, where none of this is enough
 */
export function fitWithin<R extends Recording<string>>(
  request: MemoryRequest<R>,
  limits: Limits,
  memoryOptions?: MemoryOptions,
): Fitted<R> {
  if (memoryOptions) return tried(request, memoryOptions, request.given);
  const choice = choose(request, limits);
  if (choice) return choice;
  throw tooLarge(request, limits);
}

/** A stage recorded with these settings, and its estimate. */
function tried<R extends Recording<string>>(
  request: MemoryRequest<R>,
  { recompute, logitsChunkRows }: MemoryOptions,
  settings: Reducible,
): Fitted<R> {
  const recording = request.record({ recompute, logitsChunkRows }, settings);
  const { microBatch } = settings;
  return {
    recompute,
    logitsChunkRows,
    microBatch,
    recording,
    estimate: request.estimate(recording),
  };
}

/** The estimate of a stage with these settings. */
export const estimateOf = (
  request: MemoryRequest,
  memoryOptions: MemoryOptions,
  settings = request.given,
): MemoryEstimate => tried(request, memoryOptions, settings).estimate;

/**
 * Rows of logits at a time and micro-batches that may be chosen, from fast to small; without a
 * limit of memory none is chosen smaller.
 */
function savings(
  { given, free, microBatches, vocab }: MemoryRequest,
  { memory, maxBinding }: Limits,
) {
  const chunks = CHUNKS.map((rows) => logitsAtOnce(rows, vocab, maxBinding).rows);
  return memory === null
    ? { chunks: chunks.slice(0, 1), microBatches: [given.microBatch] }
    : { chunks, microBatches: free ? microBatches : [given.microBatch] };
}

/** As `fitWithin`; null where nothing fits. */
function choose<R extends Recording<string>>(
  request: MemoryRequest<R>,
  limits: Limits,
): Fitted<R> | null {
  const { chunks, microBatches } = savings(request, limits);
  const good = (b: MemoryEstimate) =>
    within(b, limits) && (limits.memory !== null || comfortable(b));
  for (const microBatch of microBatches) {
    const settings = { ...request.given, microBatch };
    const first = tried(request, { recompute: POLICIES[0], logitsChunkRows: chunks[0] }, settings);
    if (good(first.estimate)) return first;
    const least = smallest(request, settings, chunks[chunks.length - 1]);
    if (!within(least.estimate, limits)) continue;
    for (const recompute of POLICIES) {
      for (const logitsChunkRows of chunks) {
        const choice = tried(request, { recompute, logitsChunkRows }, settings);
        if (good(choice.estimate)) return choice;
      }
    }
    return least;
  }
  return null;
}

/** The recomputation that needs least: in most shapes the most, but not in all. */
function smallest<R extends Recording<string>>(
  request: MemoryRequest<R>,
  settings: Reducible,
  logitsChunkRows: number,
): Fitted<R> {
  const made = POLICIES.map((recompute) =>
    tried(request, { recompute, logitsChunkRows }, settings),
  );
  return made.reduce((best, one) => (one.estimate.total < best.estimate.total ? one : best));
}

const comfortable = ({ bytes }: MemoryEstimate): boolean =>
  bytes.activations + bytes.logits <= AUTO_RECOMPUTE_ABOVE_BYTES;

/**
 * The largest of the sizes, which ascend, for which `ok`; where it holds for one, it holds for
 * those before.
 */
function largest(sizes: readonly number[], ok: (size: number) => boolean): number | null {
  let low = 0;
  let high = sizes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ok(sizes[middle])) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? null : sizes[low - 1];
}

const range = (from: number, to: number, by = 1): number[] =>
  Array.from({ length: Math.max(0, Math.ceil((to - from) / by)) }, (_, i) => from + i * by);

/** Where a setting stands in run.json. */
const pathOf = (key: keyof Reducible, stage: MemoryRequest['stage']): string =>
  key === 'microBatch'
    ? `${stage === 'search' ? 'search' : 'train'}.${key}`
    : `${key === 'maxLength' ? 'data' : 'adapter'}.${key}`;

/** Bytes for a message. */
export const mebibytes = (bytes: number): string =>
  `${(bytes / 2 ** 20).toFixed(bytes < 100 * 2 ** 20 ? 1 : 0)} MiB`;

/**
 * Where a stage does not fit: its settings with the micro-batch that was tried last, the least
 * there are, what settings come to, and those that fit, found one after the other as they are asked
 * for: one of them made smaller, or else all.
 */
function nearest(request: MemoryRequest, limits: Limits) {
  const { given, microBatches, proposals: keys } = request;
  const { chunks, microBatches: free } = savings(request, limits);
  const lowest = { ...given, microBatch: free[free.length - 1] };
  const leastMemory = (settings: Reducible) =>
    smallest(request, settings, chunks[chunks.length - 1]).estimate;
  const steps: Record<keyof Reducible, number[]> = {
    maxLength: range(8, given.maxLength, 8),
    experts: range(1, given.experts),
    rank: range(1, given.rank),
    microBatch: microBatches.filter((d) => d < lowest.microBatch).reverse(),
  };
  const fits = (key: keyof Reducible, settings: Reducible) =>
    largest(steps[key], (v) => within(leastMemory({ ...settings, [key]: v }), limits));
  const least: Partial<Reducible> = Object.fromEntries(
    keys.filter((k) => steps[k].length > 0).map((k) => [k, steps[k][0]]),
  );
  function* proposals(): Generator<Partial<Reducible>> {
    if (!within(leastMemory({ ...lowest, ...least }), limits)) return;
    let none = true;
    for (const key of keys) {
      const value = fits(key, lowest);
      if (value === null) continue;
      none = false;
      yield { [key]: value };
    }
    // No single setting is enough: all others at their lowest, and the longest rows that then fit.
    if (none)
      yield { ...least, maxLength: fits('maxLength', { ...lowest, ...least }) ?? given.maxLength };
  }
  return { lowest, leastMemory, proposals };
}

const named = (changes: Partial<Reducible>, stage: MemoryRequest['stage']): string =>
  Object.entries(changes)
    .map(([key, v]) => `${pathOf(key as keyof Reducible, stage)} ${v}`)
    .join(' with ');

/**
 * Whether a stage fits as it is set (its bytes then), with the first smaller settings that are
 * found, or not at all.
 */
export function assessFit(
  request: MemoryRequest,
  limits: Limits,
):
  | { verdict: 'fits'; bytes: number }
  | { verdict: 'tight'; smaller: string }
  | { verdict: 'does-not-fit' } {
  const choice = choose(request, limits);
  if (choice) return { verdict: 'fits', bytes: choice.estimate.total };
  const first = nearest(request, limits).proposals().next();
  return first.done
    ? { verdict: 'does-not-fit' }
    : { verdict: 'tight', smaller: named(first.value, request.stage) };
}

function tooLarge(request: MemoryRequest, limits: Limits): InputError {
  const { stage } = request;
  const { lowest, leastMemory, proposals } = nearest(request, limits);
  const estimate = leastMemory(lowest);
  const found = Array.from(proposals(), (changes) => {
    return `${named(changes, stage)} (${mebibytes(leastMemory({ ...lowest, ...changes }).total)})`;
  });
  const why =
    estimate.largest.bytes > limits.maxBinding
      ? `${estimate.largest.name} needs ${mebibytes(estimate.largest.bytes)} in one binding, but this GPU allows ${mebibytes(limits.maxBinding)}`
      : `it needs at least ${mebibytes(estimate.total)}, of which the weights are ${mebibytes(estimate.bytes.weights)}, but memory is ${mebibytes(limits.memory ?? 0)}`;
  const what =
    found.length > 0
      ? `It fits with ${found.join(', or ')}.`
      : 'No smaller settings of this model fit: use a smaller model, or one in fewer bits.';
  return new InputError(
    'too-large',
    `${stage === 'search' ? 'The search' : 'Training'} does not fit: ${why}. ${what}`,
  );
}
