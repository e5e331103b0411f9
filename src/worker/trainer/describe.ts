// Reports to the page: of a device, a model, a search and a training.
import { type AdapterLayout, countParameters } from '../../adapters/layout.ts';
import type { Tokenizer } from '../../data/text/tokenizer.ts';
import type { Gpu } from '../../gpu/device.ts';
import { bytesOf, sizeOf, type Tensor } from '../../graph/tensor.ts';
import type { LoadedModel } from '../../model/load.ts';
import type { SearchStage } from '../../train/search/stage.ts';
import type { TrainingStage } from '../../train/training.ts';
import type { DeviceReport, ModelReport, RunReport, SearchReport } from '../protocol/api.ts';
import { graphicsCard } from './graphics.ts';

export const describeDevice = ({
  name,
  software,
  maxBinding,
  subgroup,
  timestamps,
}: Gpu): DeviceReport => ({
  name,
  software,
  graphics: software ? graphicsCard() : null,
  maxBindingBytes: maxBinding,
  subgroups: subgroup && `${subgroup.min}–${subgroup.max}`,
  timestamps,
});

const names = { llama: 'Llama', qwen2: 'Qwen2', qwen3: 'Qwen3' } as const;

/** Parameters are counted from the weights that were loaded, a tied head once. */
export function describeModel(
  { name, config, weights, variants }: LoadedModel,
  tokenizer: Tokenizer | null,
): ModelReport {
  const sum = (of: (t: Tensor) => number) => weights.all.reduce((total, t) => total + of(t), 0);
  const {
    architecture,
    layers,
    hidden,
    heads,
    kvHeads,
    headDim,
    feedForward,
    vocab,
    maxPositions,
  } = config;
  return {
    name,
    architecture: names[architecture],
    parameters: sum(sizeOf),
    bytes: sum(bytesOf),
    dtype: weights.embedding[0].dtype,
    hasTokenizer: tokenizer !== null,
    hasTemplate: tokenizer?.template != null,
    layers,
    hidden,
    heads,
    kvHeads,
    headDim,
    feedForward,
    vocab,
    maxPositions,
    kernels: variants.names,
  };
}

interface Split {
  train: ArrayLike<number>;
  validation: ArrayLike<number>;
}

/** A search is counted with its row scales; its cost in micro-steps is by counted operations. */
export function describeSearch(
  { config, layout, steps, cost }: SearchStage,
  split: Split,
): SearchReport {
  const { experts, adapter, sites, closable } = layout;
  const { rank, topK } = adapter.spec;
  return {
    config,
    sites: sitesOf(adapter).map(({ path, target, inputs, outputs }) => ({
      path,
      layer: Number(path.split('.')[2]),
      target,
      inputs,
      outputs,
    })),
    sizes: adapter.method.sizes,
    experts,
    rank,
    topK,
    closable,
    steps,
    trainRows: split.train.length,
    validationRows: split.validation.length,
    parameters: countParameters(adapter) + sites * experts * rank,
    microSteps: (cost.upper + cost.lower) / cost.lower,
  };
}

export const describeTraining = (
  { config, layout, steps }: TrainingStage,
  split: Split,
): RunReport => ({
  config,
  parameters: countParameters(layout),
  steps,
  trainRows: split.train.length,
  validationRows: split.validation.length,
  routed: layout.method.routed
    ? Object.entries(layout.spec.allocation.experts).map(([path, experts]) => ({ path, experts }))
    : [],
});

const sitesOf = ({ groups }: AdapterLayout) => [...groups.values()].flatMap((g) => g.sites);
