// What a training run records: the passes over a micro-batch, and the optimizer's update. Needs no
// GPU.
import type { AdapterLayout } from '../adapters/layout.ts';
import { type Adapter, adapterOf, auxiliaryLosses } from '../adapters/project.ts';
import type { Variants } from '../gpu/variants.ts';
import { Recorder } from '../graph/recorder.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { Recompute } from '../model/decoder.ts';
import type { SymbolicModel } from '../model/load.ts';
import { adamw } from '../ops/optim.ts';
import { type BatchShape, type BatchStates, type MemoryOptions, recordLoss } from './batch.ts';

/** Recomputation from none to most. */
export const POLICIES: readonly Recompute[] = ['none', 'mlp', 'block'];

/** What the passes over a batch of a shape depend on. */
export interface Passes {
  model: SymbolicModel;
  layout: AdapterLayout | null;
  shape: BatchShape;
  /** Views of the batch states with the sizes of this shape. */
  states: BatchStates;
}

/** An adapter as the passes of a training use it. */
const adapterIn = (
  { layout, shape: { seqLen }, states: { routing, lengths } }: Passes,
  options: { dropout: Tensor | null; counted: boolean },
): Adapter | null => layout && adapterOf(layout, { state: routing, lengths, seqLen }, options);

/**
 * Forward only, adding into the statistics; `losses` (targets) are there until another program
 * runs.
 */
export function recordEvaluation(
  passes: Passes,
  memory: MemoryOptions,
): { rec: Recorder; losses: Tensor } {
  const { model, shape, states } = passes;
  const rec = new Recorder(model.variants, false);
  const adapter = adapterIn(passes, { dropout: null, counted: false });
  return { rec, losses: recordLoss(rec, model, shape, states, adapter, memory) };
}

/** Forward and backward, adding into the gradients and the statistics. */
export function recordMicro(passes: Passes, dropout: boolean, memory: MemoryOptions): Recorder {
  const { model, shape, states } = passes;
  const rec = new Recorder(model.variants, true);
  const adapter = adapterIn(passes, { dropout: dropout ? states.places : null, counted: true });
  recordLoss(rec, model, shape, states, adapter, memory);
  if (adapter) auxiliaryLosses(rec, adapter, states.statistics);
  rec.backward();
  return rec;
}

/** Clip and AdamW; zeroes the gradients. */
export function recordUpdate(
  variants: Variants,
  layout: AdapterLayout,
  { halt, statistics }: BatchStates,
): Recorder {
  const rec = new Recorder(variants, false);
  adamw(rec, { ...layout.store.flat(), halt }, statistics);
  return rec;
}
