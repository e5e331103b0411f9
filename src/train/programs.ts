// What a training run records: the passes over a micro-batch, and the optimizer's update. Needs no
// GPU.
import type { AdapterLayout } from '../adapters/layout.ts';
import type { Variants } from '../gpu/variants.ts';
import { Recorder } from '../graph/recorder.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { Recompute } from '../model/decoder.ts';
import type { SymbolicModel } from '../model/load.ts';
import { balance } from '../ops/adapter.ts';
import { adamw } from '../ops/optim.ts';
import { type BatchShape, type BatchStates, recordLoss, type Thrift } from './batch.ts';

/** Recomputation from none to most. */
export const POLICIES: readonly Recompute[] = ['none', 'mlp', 'block'];

/** What the passes over a micro-batch depend on. */
export interface Passes {
  model: SymbolicModel;
  layout: AdapterLayout | null;
  shape: BatchShape;
  states: BatchStates;
}

function forward(
  rec: Recorder,
  { model, layout, shape, states }: Passes,
  dropout: boolean,
  thrift: Thrift,
): Tensor {
  const { lengths, routing } = states;
  const adapter = layout && {
    layout,
    context: {
      store: layout.store,
      lengths,
      routing,
      routedExperts: layout.routedExperts,
      time: shape.time,
      dropout,
    },
  };
  return recordLoss(rec, model, shape, states, adapter, thrift);
}

/**
 * Forward only, adding into the statistics; `losses` (targets) are there until another program
 * runs.
 */
export function recordEvaluation(
  passes: Passes,
  thrift: Thrift,
): { rec: Recorder; losses: Tensor } {
  const rec = new Recorder(passes.model.variants, false);
  return { rec, losses: forward(rec, passes, false, thrift) };
}

/** Forward and backward, adding into the gradients and the statistics. */
export function recordMicro(passes: Passes, dropout: boolean, thrift: Thrift): Recorder {
  const rec = new Recorder(passes.model.variants, true);
  forward(rec, passes, dropout, thrift);
  const { layout, states } = passes;
  if (layout && layout.routedExperts > 0)
    balance(rec, states.routing, layout.balanceFactors, states.statistics);
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
