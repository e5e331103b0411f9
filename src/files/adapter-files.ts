// Adapters as files: the native format (method §5) and plain LoRA exactly as Hugging Face PEFT
// writes it.

import {
  type AdapterLayout,
  type AdapterSpec,
  layoutAdapter,
  type NamedTensor,
} from '../adapters/layout.ts';
import {
  allocationLimits,
  defaultSettings,
  type Method,
  type MethodSettings,
  methodSettings,
  methods,
} from '../adapters/methods/methods.ts';
import { type SiteDims, type Target, targetNames } from '../allocation/allocation.ts';
import { allocationJson, parseAllocation } from '../allocation/files.ts';
import { type Folder, readAll } from '../data/source.ts';
import {
  openSafetensors,
  readF32,
  type TensorEntry,
  writeSafetensors,
} from '../data/weights/safetensors.ts';
import { InputError } from '../util/error.ts';
import { parseJsonObject } from '../util/json.ts';
import { numberIn, peftSettings, readPeft } from './peft.ts';

/** File names of an adapter folder. */
export const ADAPTER_FILES = {
  config: 'adapter_config.json',
  weights: 'adapter_model.safetensors',
} as const;

type Json = Record<string, unknown>;

/** Copies a named tensor's values out of the flat store. */
export function extract(t: NamedTensor, store: Float32Array): Float32Array<ArrayBuffer> {
  const width = t.bank.shape[1];
  const from = t.bank.offset + t.row * width;
  if (!t.transposed) return store.slice(from, from + t.rows * width);
  const out = new Float32Array(t.rows * width);
  for (let r = 0; r < t.rows; r++)
    for (let o = 0; o < width; o++) out[o * t.rows + r] = store[from + r * width + o];
  return out;
}

/** Puts a named tensor's values, as in its file, into the flat store. */
export function insert(t: NamedTensor, values: Float32Array, store: Float32Array): void {
  const width = t.bank.shape[1];
  const from = t.bank.offset + t.row * width;
  if (!t.transposed) store.set(values, from);
  else
    for (let r = 0; r < t.rows; r++)
      for (let o = 0; o < width; o++) store[from + r * width + o] = values[o * t.rows + r];
}

/** A tensor of a file to write. */
export interface FileTensor {
  name: string;
  shape: number[];
  data: Float32Array<ArrayBuffer>;
}

/** Every tensor of a flat store (values, or gradients) under its own key. */
export const storeTensors = (layout: AdapterLayout, store: Float32Array): FileTensor[] =>
  layout.tensors.map((t) => ({ name: t.name, shape: [...t.shape], data: extract(t, store) }));

/** A safetensors file of f32 tensors; `scalars` come first. */
export function tensorFile(
  tensors: readonly FileTensor[],
  scalars: Record<string, number> = {},
): Uint8Array<ArrayBuffer> {
  const first = Object.entries(scalars).map(
    ([name, v]): FileTensor => ({ name, shape: [], data: Float32Array.of(v) }),
  );
  return writeSafetensors(
    [...first, ...tensors].map((t) => ({ ...t, dtype: 'F32' as const })),
    { format: 'pt' },
  );
}

/** A tensor that a file must hold, and where its values go. */
export interface ExpectedTensor {
  name: string;
  shape: readonly number[];
  take(values: Float32Array): void;
}

/**
 * Reads a file's tensors.
 * @throws InputError naming the tensor that is missing, unknown, of another shape or not finite
 */
export async function readTensors(
  expected: readonly ExpectedTensor[],
  entries: ReadonlyMap<string, TensorEntry>,
  where: string,
): Promise<void> {
  const known = new Set(expected.map((t) => t.name));
  const stranger = [...entries.keys()].find((k) => !known.has(k));
  if (stranger !== undefined)
    throw new InputError(
      'bad-adapter',
      `${where}: the tensor ${stranger} does not belong to this adapter and model.`,
    );
  for (const t of expected) {
    const entry = entries.get(t.name);
    if (!entry) throw new InputError('bad-adapter', `${where}: the tensor ${t.name} is missing.`);
    if (entry.shape.join() !== t.shape.join())
      throw new InputError(
        'bad-adapter',
        `${where}: ${t.name} has shape [${entry.shape.join(', ')}], expected [${t.shape.join(', ')}].`,
      );
    const values = await readF32(entry);
    const bad = values.findIndex((v) => !Number.isFinite(v));
    if (bad >= 0)
      throw new InputError(
        'bad-adapter',
        `${where}: ${t.name} holds ${values[bad]} at element ${bad}.`,
      );
    t.take(values);
  }
}

/** The tensors that a file of a layout holds; their values go into `store`. */
export const expectedTensors = (layout: AdapterLayout, store: Float32Array): ExpectedTensor[] =>
  layout.tensors.map((t) => ({
    name: t.name,
    shape: t.shape,
    take: (values) => insert(t, values, store),
  }));

/** Values of the whole store from a file's tensors. @throws InputError as readTensors */
export async function storeValues(
  layout: AdapterLayout,
  entries: ReadonlyMap<string, TensorEntry>,
  where: string,
): Promise<Float32Array<ArrayBuffer>> {
  const store = new Float32Array(layout.store.size);
  await readTensors(expectedTensors(layout, store), entries, where);
  return store;
}

/** A setting's name in adapter_config.json. */
const snakeCase = (key: string): string => key.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);

/** The adapter_config.json of a layout. */
export function adapterConfig({ spec, method }: AdapterLayout, base: string): Json {
  const { allocation } = spec;
  const common = {
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: base,
    revision: null,
    lora_alpha: spec.alpha,
    lora_dropout: spec.dropout,
  };
  if (method.file.type === 'GUILOMO')
    return {
      peft_type: method.file.type,
      ...(method !== methods[0] && { method: method.name }),
      ...common,
      ...Object.fromEntries(method.file.settings.map((key) => [snakeCase(key), spec[key]])),
      r_max: spec.rank,
      target_modules: [...spec.targets],
      ...allocationJson(method.sizes, allocation),
    };
  return { peft_type: method.file.type, ...common, ...peftSettings(spec) };
}

/** The two files of an adapter folder. */
export function adapterFiles(
  layout: AdapterLayout,
  store: Float32Array,
  base: string,
): Record<string, Uint8Array<ArrayBuffer>> {
  const config = new TextEncoder().encode(
    `${JSON.stringify(adapterConfig(layout, base), null, 2)}\n`,
  );
  return {
    [ADAPTER_FILES.config]: config,
    [ADAPTER_FILES.weights]: tensorFile(storeTensors(layout, store)),
  };
}

function targetsOf(json: Json, where: string): Target[] {
  const list = json.target_modules;
  if (!Array.isArray(list) || list.length === 0)
    throw new InputError('bad-adapter', `${where}: "target_modules" must be a list of linears.`);
  const bad = list.find((t) => !targetNames.includes(t));
  if (bad !== undefined)
    throw new InputError(
      'bad-adapter',
      `${where}: "target_modules" has ${JSON.stringify(bad)}; supported are ${targetNames.join(', ')}.`,
    );
  return targetNames.filter((t) => list.includes(t));
}

/** The method that a file is of: PEFT's own, or the one it names (none: the first). */
function methodIn(json: Json, where: string): Method {
  const type = json.peft_type;
  const of = methods.filter((m) => m.file.type === type);
  if (of.length === 0)
    throw new InputError(
      'bad-adapter',
      `${where}: "peft_type" is ${JSON.stringify(type)}; supported are LORA and GUILOMO.`,
    );
  const named = json.method === undefined ? of[0] : of.find((m) => m.name === json.method);
  if (named) return named;
  throw new InputError(
    'bad-adapter',
    `${where}: "method" is ${JSON.stringify(json.method)}; supported are ${of.map((m) => m.name).join(', ')}.`,
  );
}

/** A method's own settings as a file holds them; the others stand at their defaults. */
function ownSettings({ file }: Method, json: Json, where: string): MethodSettings {
  const settings: Json = { ...defaultSettings() };
  for (const key of file.type === 'GUILOMO' ? file.settings : []) {
    const name = snakeCase(key);
    const read = methodSettings[key].safeParse(json[name]);
    if (json[name] === undefined || !read.success)
      throw new InputError(
        'bad-adapter',
        `${where}: "${name}" is ${JSON.stringify(json[name])}: ${read.error?.issues[0].message ?? 'it is missing'}.`,
      );
    settings[key] = read.data;
  }
  return settings as MethodSettings;
}

/** Experts that a file may have at a site. */
const MOST_EXPERTS = 1024;

/**
 * Reads adapter_config.json into a spec for a decoder of `layers` layers.
 * @throws InputError naming file, key and value.
 */
export function parseAdapterConfig(json: Json, layers: number, where: string): AdapterSpec {
  const method = methodIn(json, where);
  const dropout =
    json.lora_dropout === undefined ? 0 : numberIn(json, 'lora_dropout', where, false, 0);
  const own = { ...ownSettings(method, json, where), method: method.name, dropout };
  if (method.file.type === 'LORA') return { ...own, ...readPeft(json, layers, where) };
  const targets = targetsOf(json, where);
  const alpha = numberIn(json, 'lora_alpha', where, false, 0);
  const rank = numberIn(json, 'r_max', where, true, 1);
  const files = { experts: `${where} "experts"`, ranks: `${where} "ranks"` };
  const limits = allocationLimits(
    { method: method.name, targets, experts: MOST_EXPERTS, rank },
    layers,
    files,
  );
  const { experts, ranks } = json;
  return { ...own, targets, rank, alpha, allocation: parseAllocation({ experts, ranks }, limits) };
}

/** Opens an adapter folder for a decoder: its layout, and the values of its store. */
export async function readAdapter(
  folder: Folder,
  layers: number,
  dims: SiteDims,
): Promise<{ layout: AdapterLayout; values: Float32Array<ArrayBuffer>; config: Json }> {
  const open = (name: string) => {
    const file = folder.open(name);
    if (!file) throw new InputError('missing-file', `${folder.name}: there is no ${name}.`);
    return file;
  };
  const where = `${folder.name}/${ADAPTER_FILES.config}`;
  const config = parseJsonObject(await readAll(open(ADAPTER_FILES.config)), where, 'bad-adapter');
  const layout = layoutAdapter(parseAdapterConfig(config, layers, where), layers, dims);
  const { entries } = await openSafetensors(open(ADAPTER_FILES.weights));
  return {
    layout,
    values: await storeValues(layout, entries, `${folder.name}/${ADAPTER_FILES.weights}`),
    config,
  };
}
