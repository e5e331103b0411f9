// What the page is told of a device and of a model.
import type { Tokenizer } from '../data/tokenizer.ts';
import type { Gpu } from '../gpu/device.ts';
import type { LoadedModel } from '../model/load.ts';
import type { DeviceReport, ModelReport } from './api.ts';

export const describeDevice = ({ name, software, maxBinding, subgroup, timestamps }: Gpu): DeviceReport => ({
  name,
  software,
  maxBindingBytes: maxBinding,
  subgroups: subgroup && `${subgroup.min}–${subgroup.max}`,
  timestamps,
});

const names = { llama: 'Llama', qwen2: 'Qwen2', qwen3: 'Qwen3' } as const;
const bytesOf = { f32: 4, u32: 4, f16: 2, bf16: 2 } as const;

/** Parameters are counted from the weights that were loaded, a tied head once. */
export function describeModel({ name, config, weights }: LoadedModel, tokenizer: Tokenizer | null): ModelReport {
  const sizes = weights.all.map((t) => ({ count: t.shape.reduce((a, b) => a * b, 1), bytes: bytesOf[t.dtype] }));
  const { architecture, layers, hidden, heads, kvHeads, headDim, feedForward, vocab, maxPositions } = config;
  return {
    name,
    architecture: names[architecture],
    parameters: sizes.reduce((sum, s) => sum + s.count, 0),
    bytes: sizes.reduce((sum, s) => sum + s.count * s.bytes, 0),
    dtype: weights.embedding.dtype,
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
  };
}
