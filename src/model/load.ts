// Opens a model: a Hugging Face folder, or a folder with one GGUF file. Configuration, weights on
// the GPU.

import { type Folder, readAll } from '../data/source.ts';
import { openCheckpoint } from '../data/weights/checkpoint-folder.ts';
import { ggufOf, ggufTensors } from '../data/weights/gguf-folder.ts';
import type { TensorEntry } from '../data/weights/safetensors.ts';
import { dryGpu, type Gpu } from '../gpu/device.ts';
import type { Variants } from '../gpu/variants.ts';
import { ProgramMemory } from '../graph/program.ts';
import type { ChoiceStore } from '../ops/choice-store.ts';
import { chooseVariants } from '../ops/families.ts';
import { InputError } from '../util/error.ts';
import { parseJsonObject } from '../util/json.ts';
import { type ModelConfig, parseModelConfig } from './config.ts';
import { ggufConfig } from './gguf-config.ts';
import { checkpointWeights, type ModelWeights, uploadWeights } from './weights.ts';

/** What recording a model needs; no GPU. */
export interface SymbolicModel {
  config: ModelConfig;
  weights: ModelWeights;
  variants: Variants;
}

/** A model whose weights are on a device; everything that runs on it shares them. */
export interface LoadedModel extends SymbolicModel {
  name: string;
  gpu: Gpu;
  /** Owns the weights' buffers. */
  memory: ProgramMemory;
}

/** A model as it would lie on a device, on one that only counts. */
export function dryModel(model: SymbolicModel): LoadedModel {
  const gpu = dryGpu();
  const memory = new ProgramMemory(gpu);
  for (const t of model.weights.all) memory.allocate(t, 'weights');
  return { ...model, name: 'no model', gpu, memory };
}

/**
 * Reads and checks config.json, or the metadata of a GGUF file.
 * @throws InputError naming the file, key and value.
 */
export async function readModelConfig(folder: Folder): Promise<ModelConfig> {
  const gguf = await ggufOf(folder);
  if (gguf) return ggufConfig(gguf);
  const file = folder.open('config.json');
  if (!file) throw new InputError('missing-file', `${folder.name}: there is no config.json.`);
  return parseModelConfig(
    parseJsonObject(await readAll(file), `${folder.name}/config.json`, 'bad-config'),
    `${folder.name}/config.json`,
  );
}

/** The weights' places under Hugging Face's names, in safetensors or in a GGUF file. */
export async function openWeights(folder: Folder): Promise<ReadonlyMap<string, TensorEntry>> {
  const gguf = await ggufOf(folder);
  return gguf ? ggufTensors(gguf) : openCheckpoint(folder);
}

/**
 * Loads a model folder onto the device.
 * @param onProgress bytes uploaded and in all; may throw to stop
 * @throws InputError for anything in the folder that cannot be taken
 */
export async function loadModel(
  gpu: Gpu,
  folder: Folder,
  options: {
    variants?: Variants;
    /** Remembers the kernels that are chosen here, where none are given. */
    choices?: ChoiceStore;
    onProgress?: (done: number, total: number) => void;
  } = {},
): Promise<LoadedModel> {
  const config = await readModelConfig(folder);
  const entries = await openWeights(folder);
  const weights = checkpointWeights(config, entries, folder.name, gpu.maxBinding);
  const memory = new ProgramMemory(gpu);
  try {
    await uploadWeights(memory, weights, entries, options.onProgress);
    return {
      name: folder.name,
      gpu,
      config,
      weights,
      memory,
      variants: options.variants ?? (await chooseVariants(gpu, config, options.choices)),
    };
  } catch (error) {
    memory.destroy();
    throw error;
  }
}
