// What a run needs on the GPU, by category: its buffers made on a device that only counts, before
// anything is loaded.
import type { AdapterLayout } from '../../adapters/layout.ts';
import type { BufferBytes } from '../../gpu/allocator.ts';
import { Generator, recordGeneration } from '../../model/generate.ts';
import { dryModel, type SymbolicModel } from '../../model/load.ts';
import { ProgramSet, type Recording } from '../program-set.ts';
import { StatisticsRing } from '../ring.ts';

/** Bytes of GPU buffers at the peak of a stage. */
export type MemoryEstimate = BufferBytes;

/** The estimate of a stage with its model; parameters are read back once the rings are gone. */
export function estimateStage(model: SymbolicModel, recording: Recording<string>): MemoryEstimate {
  const { gpu, ...dry } = dryModel(model);
  for (const store of recording.stores) store.allocate(gpu);
  const { sources } = new ProgramSet({ ...dry, gpu }, recording);
  const rings = sources.map((ring) => new StatisticsRing(gpu, ring, () => undefined));
  for (const ring of rings) ring.destroy();
  for (const { bytes } of recording.stores)
    gpu.allocator.free(gpu.allocator.create('other', 'staging', bytes, 'staging'));
  for (const store of recording.stores) store.destroy();
  return gpu.created.atPeak();
}

/**
 * The estimate of generation, `rows` prompts at a time, with an adapter's values where there is one.
 */
export function estimateGeneration(
  model: SymbolicModel,
  layout: AdapterLayout | null,
  rows: number,
  promptTokens: number,
  newTokens: number,
): MemoryEstimate {
  const dry = dryModel(model);
  layout?.store.allocate(dry.gpu);
  new Generator(dry, recordGeneration(model, layout, rows, promptTokens, newTokens));
  layout?.store.destroy();
  return dry.gpu.created.atPeak();
}
