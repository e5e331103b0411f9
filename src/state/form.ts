// How the settings form becomes run.json and back, its mistakes, and what it comes to on a model.
import { methodOf, siteCost, sizeLimits } from '../adapters/methods/methods.ts';
import { parameterCount, siteDims, uniformAllocation } from '../allocation/allocation.ts';
import { groups, type Setting, settingAt } from '../settings/catalog.ts';
import { reading } from '../settings/data.ts';
import { nearestRank } from '../settings/resolve-allocation.ts';
import {
  defaultRunConfig,
  parseRunConfig,
  type RunConfig,
  type RunConfigInput,
  runConfigProblems,
} from '../settings/run-config.ts';
import {
  RUN_PRESETS,
  type RunPreset,
  type RunPresetName,
  searchSteps,
} from '../settings/run-presets.ts';
import type { DataOptions, DatasetReport, ModelReport } from '../worker/protocol/api.ts';
import { type FieldName, type Form, fields, isUsed, searching } from './fields.ts';
import { heldOut, rowsOfEpoch, usesOf, usesProblem, weightsOf } from './files.ts';

type Json = Record<string, unknown>;

/** What a field shows of a value of run.json. */
function typedOf({ kind, unit, initial }: Setting, value: unknown): string | boolean {
  if (Array.isArray(value)) return String(initial); // validation by files
  if (typeof value === 'number') return String(value / (unit?.size ?? 1));
  return kind === 'switch' ? Boolean(value) : String(value ?? '');
}

/** The value of run.json that stands in a field; what should be a number and is none stays text. */
function storedOf({ kind, none, unit }: Setting, typed: string | boolean): unknown {
  if (typeof typed === 'boolean' || kind === 'choice') return typed;
  const text = typed.trim();
  if (text === '') return none === undefined ? '' : null;
  if (kind === 'text') return typed;
  const value = Number(text);
  if (!Number.isFinite(value)) return text;
  return unit ? Math.round(value * unit.size) : value;
}

/**
 * The form that shows a configuration; settings of a stage that it leaves out stand at their
 * defaults.
 */
export function formOf(config: RunConfig): Form {
  const typed = Object.entries(fields).map(([path, field]) => {
    const found = path.split('.').reduce<unknown>((at, key) => (at as Json)[key], config);
    return [path, typedOf(field, found === undefined ? field.initial : found)];
  });
  return {
    ...(Object.fromEntries(typed) as Pick<Form, FieldName>),
    search: config.search !== false,
    train: config.train !== false,
    'data.columns': config.data.columns,
    files: usesOf(config.data),
    waitAtReview: false,
  };
}

/**
 * The page's defaults: run.json's, with batches that suit small datasets and a validation during
 * the run.
 */
export const defaultForm = (): Form => ({
  ...formOf(defaultRunConfig()),
  'train.batch': '16',
  'train.microBatch': '8',
  'train.evaluateEvery': '20',
  'search.batch': '16',
  'search.microBatch': '8',
  'search.upperLearningRate': '0.05',
});

/**
 * The form with a preset's settings; how data is read and split, the seed and the page's own
 * settings stay.
 * @param report of the data, where there is some
 */
export function withPreset(form: Form, name: RunPresetName, report: DatasetReport | null): Form {
  const { settings, searchEpochs }: RunPreset = RUN_PRESETS[name];
  const made = formOf(parseRunConfig(settings, name));
  if (searchEpochs !== undefined && report !== null) {
    const kept = rowsOfEpoch(report, form.files, Number(form['data.validation']));
    const steps = searchSteps(searchEpochs, kept, Number(made['search.microBatch']));
    made['search.steps'] = String(steps);
  }
  const isSet = (key: string) => /^(adapter|search|train)\b/.test(key);
  const kept = Object.entries(form).filter(([key]) => !isSet(key));
  return { ...made, ...Object.fromEntries(kept) };
}

/**
 * run.json of what stands in the form; what cannot be a number stays text, so that the check names
 * it.
 */
export function configOf(form: Form): RunConfigInput {
  const config = Object.fromEntries(Object.keys(groups).map((part) => [part, {} as Json]));
  const root: Json = config;
  for (const [path, field] of Object.entries(fields) as [FieldName, Setting][]) {
    if (!isUsed(form, path)) continue;
    const [group, key] = path.split('.');
    const value = storedOf(field, form[path]);
    if (key === undefined) root[group] = value;
    else config[group][key] = value;
  }
  const held = heldOut(form.files);
  if (held.length > 0) config.data.validation = held;
  config.data.weights = weightsOf(form.files);
  config.data.columns = form['data.columns'];
  if (!searching(form)) root.search = false;
  if (searching(form) && !form.train) root.train = false;
  return root as RunConfigInput;
}

type Problems = Partial<Record<FieldName | 'files', string>>;
const checked = new WeakMap<Form, Problems>(); // every field asks for the same form

/** What is wrong with the form, by field. */
export function formProblems(form: Form): Problems {
  const known = checked.get(form);
  if (known) return known;
  const found = findProblems(form);
  checked.set(form, found);
  return found;
}

function findProblems(form: Form): Problems {
  const byPath = runConfigProblems(configOf(form));
  const found: Problems = {};
  const files = usesProblem(form.files);
  if (files !== null) found.files = files;
  for (const [path, { kind }] of Object.entries(fields) as [FieldName, Setting][]) {
    if (!byPath[path]) continue;
    const raw = String(form[path]).trim();
    const isNumber = Number.isFinite(Number(raw));
    const message =
      kind !== 'number' || (raw !== '' && isNumber)
        ? byPath[path]
        : raw === ''
          ? 'enter a number'
          : `“${raw}” is not a number`;
    found[path] = inWords(message);
  }
  return found;
}

/** A message with the labels of fields in place of run.json's names. */
export const inWords = (message: string): string =>
  message.replace(/\b(?:train|adapter|data|search)\.\w+/g, (path) => labelOf(path) ?? path);

const labelOf = (path: string): string | undefined => settingAt(path)?.label?.toLowerCase();

/**
 * Trainable parameters: of the search (with its row scales; null without one) and of the adapter
 * (null where the search decides).
 */
export interface Trainable {
  search: number | null;
  adapter: number | null;
  /** Of all linears, where a number of parameters decides it. */
  rank?: number;
}

/** Trainable parameters that this form gives on this model, or null while it has mistakes. */
export function trainableParameters(form: Form, model: ModelReport): Trainable | null {
  if (Object.keys(formProblems(form)).length > 0) return null;
  const dims = siteDims(model);
  const targets = defaultRunConfig().adapter.targets;
  const [experts, rank] = [Number(form['adapter.experts']), Number(form['adapter.rank'])];
  const method = form['adapter.method'];
  const wanted = numberIn(form['adapter.parameters']);
  const sized = (count: number, each: number) =>
    parameterCount(uniformAllocation(model.layers, targets, count, each), siteCost(method, dims));
  const { maxExperts, maxRank } = sizeLimits({ method, experts, rank });
  const largest = sized(maxExperts, maxRank);
  if (!searching(form)) {
    if (wanted === null) return { search: null, adapter: largest };
    if (methodOf(method).sizes === 'experts') return { search: null, adapter: wanted };
    const nearest = nearestRank(method, wanted, targets, model);
    return { search: null, adapter: sized(1, nearest), rank: nearest };
  }
  return {
    search: largest + model.layers * targets.length * maxExperts * maxRank,
    adapter: form.train ? wanted : null,
  };
}

/** The number in a field that may be empty. */
const numberIn = (text: string): number | null => (text.trim() === '' ? null : Number(text));

const readingPaths = Object.keys(reading).map((key) => `data.${key}` as FieldName);

/** Whether a setting takes part in reading the data. */
export const isReading = (name: string): boolean => readingPaths.some((path) => path === name);

/** How data is to be read, by this form. */
export const dataOptionsOf = (form: Form): DataOptions => ({
  ...(Object.fromEntries(
    Object.entries(configOf(form).data!).filter(([key]) => isReading(`data.${key}`)),
  ) as Omit<DataOptions, 'whole'>),
  whole: numberIn(form['data.limit']) === null ? [] : heldOut(form.files),
});

/** The fields that were read from with these options. */
export const fieldsOfData = (options: DataOptions): Partial<Form> => ({
  ...Object.fromEntries(
    readingPaths
      .filter((path) => path in fields)
      .map((path) => [
        path,
        typedOf(fields[path], options[path.slice('data.'.length) as keyof DataOptions]),
      ]),
  ),
  'data.columns': options.columns,
});
