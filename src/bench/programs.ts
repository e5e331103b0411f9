// The programs of a run on a model, recorded without a GPU, to be printed or compared.
import { layoutAdapter } from '../adapters/layout.ts';
import { type Allocation, siteDims } from '../allocation/allocation.ts';
import type { Recorder } from '../graph/recorder.ts';
import { recordGeneration } from '../model/generate.ts';
import type { SymbolicModel } from '../model/load.ts';
import { resolveAllocation, trainedAdapter } from '../settings/resolve-allocation.ts';
import { type RunConfig, searches, trains } from '../settings/run-config.ts';
import { alike, type BatchShape, batchStates, DEFAULT_MEMORY_OPTIONS } from '../train/batch.ts';
import { recordEvaluation, recordMicro, recordUpdate } from '../train/programs.ts';
import { recordSearch } from '../train/search/programs.ts';
import { searchLayout, searchOptions } from '../train/search/setup.ts';

/**
 * Every program that a run of these settings replays, by name: those of its search, of its
 * training, and of answers.
 * @param seqLen tokens of each row
 * @param given the allocation; without, a uniform one stands for it
 */
export function recordPrograms(
  model: SymbolicModel,
  config: RunConfig,
  seqLen: number,
  given?: Allocation,
): Map<string, Recorder> {
  const programs = new Map<string, Recorder>();
  const shapeOf = (rows: number): BatchShape => ({ rows, seqLen, targets: rows * (seqLen - 1) });
  if (searches(config)) {
    const layout = searchLayout(config, model.config);
    const shape = shapeOf(config.search.microBatch);
    const search = recordSearch(model, layout, alike(shape), searchOptions(config));
    for (const [name, [rec]] of search.programs) programs.set(`search ${name}`, rec);
  }
  if (trains(config)) {
    const uniform = { ...config, allocation: 'uniform' } as const;
    const allocation = given ?? resolveAllocation(uniform, model.config);
    const spec = trainedAdapter(uniform, allocation);
    const layout = layoutAdapter(spec, model.config.layers, siteDims(model.config));
    const shape = shapeOf(config.train.microBatch);
    const states = batchStates(alike(shape), layout.routedExperts);
    const passes = { model, layout, shape, states };
    programs.set('micro', recordMicro(passes, config.adapter.dropout > 0, DEFAULT_MEMORY_OPTIONS));
    programs.set('update', recordUpdate(model.variants, layout, states));
    programs.set('evaluate', recordEvaluation(passes, DEFAULT_MEMORY_OPTIONS).rec);
  }
  const { prefill, decode } = recordGeneration(model, null, 1, seqLen, 16);
  return programs.set('prefill', prefill.program).set('decode', decode.program);
}
