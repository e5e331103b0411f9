// Makes a run fit the memory there is: micro-batch, recomputation and rows of logits at a time, or
// else the nearest settings that would fit.

import type { Gpu } from '../../gpu/device.ts';
import type { RunConfig } from '../../settings/run-config.ts';
import { InputError } from '../../util/error.ts';
import { DEFAULT_MEMORY_OPTIONS, logitsAtOnce, type MemoryOptions } from '../batch.ts';
import type { Recording } from '../program-set.ts';
import { POLICIES } from '../programs.ts';
import type { MemoryEstimate } from './estimate.ts';
import type { MemoryRequest, Reducible } from './request.ts';

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

/** How a stage runs, what that takes, and what it records. */
export type Fitted<R> = MemoryPlan & { estimate: MemoryEstimate; recording: R };

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
