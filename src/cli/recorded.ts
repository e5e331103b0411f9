// What commands record without a GPU: the programs of a run on a model or a shape.
import { recordPrograms } from '../bench/programs.ts';
import { imagined } from '../gpu/variants.ts';
import type { Recorder } from '../graph/recorder.ts';
import { parseChoice, presets } from '../ops/families.ts';
import { parseRunConfig } from '../settings/run-config.ts';
import { readAllocation, readRunConfig, shared, symbolicModel } from './inputs.ts';
import { type Values, whole } from './options.ts';

/** Options of commands that record. */
export const recordOptions = {
  model: { ...shared.shape, about: `${shared.shape.about}; smollm2-135m by default` },
  config: {
    ...shared.config,
    about: 'run.json; without it, a search and training with default settings',
  },
  tokens: whole('tokens per row; 128 by default', 2, 1_000_000),
  kernels: shared.kernels,
};

/** The programs by name; kernels are those for GPUs unless others are named. */
export async function recordRun(
  o: Values<typeof recordOptions>,
  layers?: number,
): Promise<Map<string, Recorder>> {
  const choice = o.kernels === undefined ? presets.gpu : parseChoice(o.kernels, '--kernels');
  const { model } = await symbolicModel(o.model ?? 'smollm2-135m', imagined(choice));
  const config = o.config
    ? await readRunConfig(o.config)
    : parseRunConfig({ search: {} }, 'the defaults');
  const kept = layers ?? model.config.layers;
  const short = {
    ...model,
    config: { ...model.config, layers: Math.min(kept, model.config.layers) },
    weights: { ...model.weights, layers: model.weights.layers.slice(0, kept) },
  };
  const given =
    config.allocation === 'search'
      ? undefined
      : await readAllocation(config, o.config, model.config);
  return recordPrograms(short, config, o.tokens ?? 128, given);
}
