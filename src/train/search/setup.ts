// What a search is set up with: its layout, its starting values on the device, its options; and its
// gradients on one pair, to check against others.
import { siteDims } from '../../allocation/allocation.ts';
import type { ModelConfig } from '../../model/config.ts';
import type { LoadedModel } from '../../model/load.ts';
import { STATISTICS } from '../../ops/loss.ts';
import type { SearchConfig } from '../../settings/run-config.ts';
import { InputError, invariant } from '../../util/error.ts';
import { streamKey } from '../../util/random.ts';
import { alike, microBatch, type Row } from '../batch.ts';
import { shapeOf } from '../run-rows.ts';
import { layoutSearch, type SearchLayout } from './layout.ts';
import type { SearchOptions } from './programs.ts';
import { SearchRuntime } from './runtime.ts';
import type { SearchValues } from './values.ts';

/** The layout of the search that settings ask for on a model. */
export const searchLayout = ({ adapter, search }: SearchConfig, model: ModelConfig): SearchLayout =>
  layoutSearch(adapter, search, model.layers, siteDims(model));

/** Puts starting values on the device. */
export function placeSearch(
  { gpu }: LoadedModel,
  layout: SearchLayout,
  values: SearchValues,
): void {
  layout.adapter.store.allocate(gpu, values.lower);
  layout.upper.allocate(gpu, values.upper);
}

/** What a search's programs depend on, by its settings. */
export const searchOptions = ({
  search: { order, sizes, cost, budget },
  adapter,
  seed,
}: SearchConfig): SearchOptions => ({
  order,
  sizes,
  cost,
  budget,
  dropout: adapter.dropout > 0,
  seed: streamKey(seed, 'sizes'),
});

/**
 * G of every GSV on one pair of micro-batches, without dropout: the first half of the rows (the
 * larger one if odd) is b1, the rest b2, and ξ is search.learningRate. `gradient` is laid out as
 * the upper store; `loss` is the upper loss.
 */
export async function searchGradients(input: {
  model: LoadedModel;
  rows: readonly Row[];
  config: SearchConfig;
  layout: SearchLayout;
  values: SearchValues;
  onProgress?: (done: number, of: number) => void;
}): Promise<{ loss: number; gradient: Float32Array<ArrayBuffer> }> {
  const { model, rows, layout, config, values, onProgress } = input;
  if (rows.length < 2)
    throw new InputError('bad-data', 'A search needs at least two rows, one for each level.');
  const half = Math.ceil(rows.length / 2);
  const shapes = alike(shapeOf(rows, half));
  placeSearch(model, layout, values);
  let runtime: SearchRuntime | null = null;
  try {
    runtime = await SearchRuntime.create(model, layout, shapes, {
      ...searchOptions(config),
      dropout: false,
      onProgress,
    });
    return await gradientsOf(runtime, layout, rows, config);
  } finally {
    runtime?.destroy();
    layout.adapter.store.destroy();
    layout.upper.destroy();
  }
}

async function gradientsOf(
  runtime: SearchRuntime,
  layout: SearchLayout,
  rows: readonly Row[],
  { search, adapter }: SearchConfig,
): Promise<{ loss: number; gradient: Float32Array<ArrayBuffer> }> {
  const { model, shapes } = runtime;
  const half = shapes.evaluation.rows;
  runtime.beginPair(1);
  const b2 = microBatch(rows.slice(half), shapes.evaluation);
  runtime.hypergradient(
    microBatch(rows.slice(0, half), shapes.evaluation),
    b2,
    search.learningRate,
    adapter.balance,
  );
  const s = await runtime.readUpperStatistics();
  const gradient = await layout.upper.read(model.gpu, 'grad');
  invariant(
    s[STATISTICS.tokens] === b2.lossTokens,
    'the GPU did not finish the pair of micro-batches',
  );
  return {
    loss: s[STATISTICS.crossEntropy] / b2.lossTokens + adapter.balance * s[STATISTICS.balance],
    gradient,
  };
}
