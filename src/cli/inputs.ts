// What commands read: models, adapters, run.json with its allocation, datasets. All of it is
// checked before a GPU is opened.

import { basename, dirname, relative, resolve } from 'node:path';
import type { AdapterLayout } from '../adapters/layout.ts';
import { allocationLimits } from '../adapters/methods/methods.ts';
import { type Allocation, siteDims } from '../allocation/allocation.ts';
import { parseAllocation } from '../allocation/files.ts';
import { SHAPES } from '../bench/shapes.ts';
import { BatchOrder } from '../data/batching/batches.ts';
import type { Dataset } from '../data/dataset/dataset.ts';
import { readDataset } from '../data/dataset/formats.ts';
import { type Folder, folderOf, readAll } from '../data/source.ts';
import { loadTokenizer, type Tokenizer } from '../data/text/tokenizer.ts';
import { readAdapter } from '../files/adapter-files.ts';
import type { Gpu } from '../gpu/device.ts';
import { imagined, type Variants } from '../gpu/variants.ts';
import type { ModelSizes } from '../graph/family.ts';
import type { ModelConfig } from '../model/config.ts';
import {
  type LoadedModel,
  loadModel,
  openWeights,
  readModelConfig,
  type SymbolicModel,
} from '../model/load.ts';
import { checkpointWeights, type ModelWeights, symbolicWeights } from '../model/weights.ts';
import { chooseVariants, parseChoice, withChoice } from '../ops/families.ts';
import { resolveAllocation } from '../settings/resolve-allocation.ts';
import {
  parseRunConfig,
  type RunConfig,
  runJson,
  searches,
  trains,
} from '../settings/run-config.ts';
import type { Row } from '../train/batch.ts';
import { fitWithin } from '../train/memory/fit.ts';
import { searchRequest, trainingRequest } from '../train/memory/request.ts';
import { pairsOf, runRows, searchRows, searchShapes, trainingShapes } from '../train/run-rows.ts';
import { InputError, isInputError } from '../util/error.ts';
import { decodeText, parseJson } from '../util/json.ts';
import { cachedChoices } from './cache.ts';
import type { Context } from './command.ts';
import { fileSource, folderSource } from './files.ts';
import { checked, required, text, texts } from './options.ts';

/** Options that several commands share. */
export const shared = {
  model: text(
    'DIR|FILE',
    'model folder (config.json, tokenizer.json, model.safetensors or shards), or one .gguf file',
  ),
  shape: text(
    'DIR|FILE|SHAPE',
    `model folder, .gguf file, or a shape in bf16: ${Object.keys(SHAPES).join(', ')}`,
  ),
  adapter: text('DIR', 'adapter folder: adapter_config.json and adapter_model.safetensors'),
  config: text('FILE', 'run.json; settings left out have their defaults'),
  data: required(
    texts('FILE', 'datasets: .jsonl, .json, .csv, .tsv, .parquet, .txt, .md, also in .gz or .zip'),
  ),
  validation: texts('FILE', 'datasets held out for validation, instead of data.validation'),
  kernels: checked(
    'gpu|cpu|FAMILY=VARIANT,…',
    'kernels to run, as `kernel` lists them; by default what suits the GPU',
    (v, flag) => {
      parseChoice(v, flag);
      return v;
    },
  ),
};

/** A model whose configuration and weight files have been checked. */
export interface CheckedModel {
  folder: Folder;
  config: ModelConfig;
  /** What will be loaded, as it is stored. */
  weights: ModelWeights;
}

/**
 * Checks a model folder or .gguf file without a GPU: configuration, headers of the weight files,
 * every tensor's presence, shape and type.
 */
export async function checkModel(path: string): Promise<CheckedModel> {
  const folder = /\.gguf$/i.test(path)
    ? folderOf(basename(path), [fileSource(path)])
    : folderSource(path);
  const config = await readModelConfig(folder);
  const weights = checkpointWeights(config, await openWeights(folder), folder.name);
  return { folder, config, weights };
}

/** The kernels that --kernels names for a device, or that suit it and a model's sizes. */
export const kernelsOf = (
  gpu: Gpu,
  kernels: string | undefined,
  sizes?: ModelSizes,
): Promise<Variants> =>
  kernels === undefined
    ? chooseVariants(gpu, sizes, cachedChoices)
    : withChoice(gpu, parseChoice(kernels, '--kernels'), '--kernels', sizes, cachedChoices);

/** What recording a model needs: of a folder or file, which is checked, or of a named shape. */
export async function symbolicModel(
  name: string,
  variants: Variants,
  binding = Number.POSITIVE_INFINITY,
): Promise<{ checked: CheckedModel | null; model: SymbolicModel }> {
  const config = SHAPES[name.toLowerCase()];
  if (config)
    return {
      checked: null,
      model: { config, weights: symbolicWeights(config, () => 'bf16', binding), variants },
    };
  const checked = await checkModel(name);
  return { checked, model: { config: checked.config, weights: checked.weights, variants } };
}

/** Opens the GPU and puts a model there. */
export async function openModel(
  { io, progress }: Context,
  { folder, config }: CheckedModel,
  kernels?: string,
): Promise<LoadedModel> {
  const gpu = await io.openGpu();
  progress.note(`WebGPU: ${gpu.name}`);
  const variants = await kernelsOf(gpu, kernels, config);
  const mebibytes = (bytes: number) => Math.ceil(bytes / 2 ** 20);
  return loadModel(gpu, folder, {
    variants,
    onProgress: (done, total) =>
      progress.update('Loading the model, MiB', mebibytes(done), mebibytes(total)),
  });
}

/** The settings of a run.json. */
export async function readRunConfig(path: string | undefined): Promise<RunConfig> {
  if (path === undefined) return parseRunConfig({}, 'run.json');
  return parseRunConfig(await readJson(path, 'bad-config'), path);
}

/**
 * Data paths and config of a run; files given with --validation (`held`) override
 * data.validation.
 */
export function withValidation(
  config: RunConfig,
  data: readonly string[],
  held: readonly string[],
): { paths: string[]; config: RunConfig } {
  if (held.length === 0) return { paths: [...data], config };
  const names = held.map((path) => basename(path));
  const twice = data.find((path) => names.includes(basename(path)));
  if (twice !== undefined)
    throw new InputError(
      'bad-option',
      `--data and --validation both have a file named ${basename(twice)}: rename one, because rows are identified by file name.`,
    );
  return {
    paths: [...data, ...held],
    config: parseRunConfig(
      { ...runJson(config), data: { ...config.data, validation: names } },
      'run.json',
    ),
  };
}

/**
 * The allocation that a run's settings come to on a model; where they name files, those lie beside
 * run.json at `path`.
 */
export async function readAllocation(
  config: RunConfig,
  path: string | undefined,
  model: ModelConfig,
): Promise<Allocation> {
  if (typeof config.allocation === 'string') return resolveAllocation(config, model);
  const { experts, ranks } = config.allocation;
  const beside = (name: string) => resolve(path === undefined ? '.' : dirname(path), name);
  const files = {
    experts: relative('.', beside(experts ?? '')),
    ranks: relative('.', beside(ranks)),
  };
  const json = {
    experts: experts === undefined ? undefined : await readJson(files.experts, 'bad-adapter'),
    ranks: await readJson(files.ranks, 'bad-adapter'),
  };
  const limits = allocationLimits(config.adapter, model.layers, files);
  return resolveAllocation(config, model, parseAllocation(json, limits));
}

/** The parsed contents of a JSON file. */
export async function readJson(
  path: string,
  code: 'bad-config' | 'bad-adapter' | 'bad-data',
): Promise<unknown> {
  return parseJson(decodeText(await readAll(fileSource(path)), path, code), path, code);
}

/** An adapter folder, checked against a model. */
export type CheckedAdapter = Awaited<ReturnType<typeof readAdapter>>;

/** Reads an adapter folder without a GPU; null where there is none to read. */
export async function checkAdapter<P extends string | undefined>(
  path: P,
  { config }: CheckedModel,
): Promise<P extends string ? CheckedAdapter : CheckedAdapter | null> {
  const adapter =
    path === undefined
      ? null
      : await readAdapter(folderSource(path), config.layers, siteDims(config));
  return adapter as P extends string ? CheckedAdapter : CheckedAdapter | null;
}

/** Puts an adapter beside its model; null stays null. */
export function placeAdapter(
  { gpu }: LoadedModel,
  adapter: CheckedAdapter | null,
): AdapterLayout | null {
  if (!adapter) return null;
  adapter.layout.store.allocate(gpu, adapter.values);
  return adapter.layout;
}

/** Bad rows that are shown one by one. */
const SHOWN = 10;

/**
 * Reads dataset files with the model's tokenizer, and notes what was left out. Where the tokenizer
 * is missing or broken, pre-tokenised data is read all the same; any other data then fails with the
 * tokenizer's error.
 */
export async function openData(
  { progress }: Context,
  model: CheckedModel,
  paths: readonly string[],
  data: RunConfig['data'],
): Promise<{ dataset: Dataset; tokenizer: Tokenizer | null }> {
  const sources = paths.map(fileSource);
  let failure: Error | null = null;
  const tokenizer = await loadTokenizer(model.folder).catch((e: unknown) => {
    if (!isInputError(e)) throw e;
    failure = e;
    return null;
  });
  const { validation } = data;
  const whole = typeof validation === 'number' ? [] : validation;
  const options = { tokenizer, vocab: model.config.vocab, data: { ...data, whole } };
  const dataset = await readDataset(sources, options).catch((e: unknown) => {
    if (
      failure &&
      e instanceof InputError &&
      e.code === 'missing-file' &&
      model.folder.open('tokenizer.json')
    )
      throw failure;
    throw e;
  });
  report(dataset, data, progress.note.bind(progress));
  return { dataset, tokenizer };
}

function report(
  { rows, bad, limited, truncated, tokens, trainedTokens }: Dataset,
  data: RunConfig['data'],
  note: (text: string) => void,
): void {
  for (const { file, line, reason } of bad.slice(0, SHOWN))
    note(`${file} line ${line} was left out: ${reason}`);
  if (bad.length > SHOWN) note(`… and ${bad.length - SHOWN} more`);
  const cut = truncated > 0 ? `, ${truncated} of them cut to data.maxLength ${data.maxLength}` : '';
  const end = limited ? `, the first ones because data.limit is ${data.limit}` : '';
  note(
    `Data: ${rows - bad.length} of ${rows} rows${end}${cut}; ${tokens} tokens, ${trainedTokens} of which carry loss`,
  );
}

/** Refuses a run that cannot be made to fit its `memory`, before the model is loaded. */
export function checkMemory(
  { config: shape, weights }: CheckedModel,
  rows: readonly Row[],
  config: RunConfig,
  allocation: Allocation | null,
): void {
  const { memory } = config;
  if (memory === null) return;
  const model = { config: shape, weights, variants: imagined() };
  const limits = { memory, maxBinding: Number.POSITIVE_INFINITY };
  if (searches(config)) fitWithin(searchRequest(model, config, searchShapes(rows, config)), limits);
  if (trains(config))
    fitWithin(
      trainingRequest(model, config, trainingShapes(rows, config), allocation ?? undefined),
      limits,
    );
}

/**
 * Refuses data that cannot fill a run's batches, as the run itself would, before the model is
 * loaded.
 */
export function checkBatches(rows: readonly Row[], config: RunConfig): void {
  const { data, seed } = config;
  if (trains(config))
    new BatchOrder(runRows(rows, config).train.length, config.train.batch, data.shuffle, seed);
  if (searches(config)) pairsOf(searchRows(rows, config), config);
}
