// How the settings form becomes run.json and back, its mistakes, and what it comes to on a model.
import { methodOf, siteCost } from '../adapters/methods/methods.ts';
import { parameterCount, siteDims, uniformAllocation } from '../allocation/allocation.ts';
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
import { type Form, fields, isUsed, searching, type TextField } from './fields.ts';
import { heldOut, rowsOfEpoch, usesOf, usesProblem, weightsOf } from './files.ts';

const number = (text: string, optional = false): unknown => {
  const trimmed = text.trim();
  if (trimmed === '') return optional ? null : undefined;
  const value = Number(trimmed);
  return Number.isFinite(value) ? value : trimmed;
};

const searchDefaults = (() => {
  const { search } = parseRunConfig({ search: {} }, 'defaults');
  return search || null;
})()!;

/**
 * The form that shows a configuration; settings of a stage that it leaves out stand at their
 * defaults.
 */
export function formOf(config: RunConfig): Form {
  const { data, adapter } = config;
  const train = config.train || defaultRunConfig().train;
  const search = config.search || searchDefaults;
  const groups: Record<string, object> = { data, adapter, train, search };
  const texts = Object.entries(fields).map(([name, { path, unit = 1 }]) => {
    const [group, key] = path.split('.');
    const set = ((key === undefined ? config : groups[group]) as Record<string, unknown>)[
      key ?? group
    ];
    // validation by files
    const value = Array.isArray(set) ? defaultRunConfig().data.validation : set;
    return [name, value === null ? '' : String(typeof value === 'number' ? value / unit : value)];
  });
  return {
    ...(Object.fromEntries(texts) as Record<TextField, string>),
    method: adapter.method,
    schedule: train.schedule,
    completionOnly: data.completionOnly,
    turns: data.turns,
    packing: data.packing,
    template: data.template,
    columns: data.columns,
    system: data.system ?? '',
    files: usesOf(data),
    search: config.search !== false,
    estimator: search.estimator,
    sizes: search.sizes,
    order: search.order,
    split: search.split,
    closable: search.closable,
    searchSchedule: search.schedule,
    thenTrain: config.train !== false,
    waitAtReview: false,
  };
}

/**
 * The page's defaults: run.json's, with batches that suit small datasets and a validation during
 * the run.
 */
export const defaultForm = (): Form => ({
  ...formOf(defaultRunConfig()),
  batch: '16',
  microBatch: '8',
  evaluateEvery: '20',
  searchBatch: '16',
  searchMicroBatch: '8',
  upperLearningRate: '0.05',
});

/**
 * The form with a preset's settings; how data is read and split, the seed and the page's own
 * settings stay.
 * @param report of the data, where there is some
 */
export function withPreset(form: Form, name: RunPresetName, report: DatasetReport | null): Form {
  const { settings, searchEpochs }: RunPreset = RUN_PRESETS[name];
  const {
    seed,
    memory,
    maxLength,
    completionOnly,
    turns,
    packing,
    template,
    columns,
    system,
    limit,
    files,
    validation,
    waitAtReview,
  } = form;
  const made = formOf(parseRunConfig(settings, name));
  if (searchEpochs !== undefined && report !== null) {
    const kept = rowsOfEpoch(report, files, Number(validation));
    made.searchSteps = String(searchSteps(searchEpochs, kept, Number(made.searchMicroBatch)));
  }
  return {
    ...made,
    seed,
    memory,
    maxLength,
    completionOnly,
    turns,
    packing,
    template,
    columns,
    system,
    limit,
    files,
    validation,
    waitAtReview,
  };
}

/**
 * run.json of what stands in the form; what cannot be a number stays text, so that the check names
 * it.
 */
export function configOf(form: Form): RunConfigInput {
  const survival = isUsed(form, 'survival');
  const config: Record<string, Record<string, unknown>> = {
    data: {
      completionOnly: form.completionOnly,
      turns: form.turns,
      packing: form.packing,
      template: form.template,
      columns: form.columns,
      system: systemOf(form),
    },
    adapter: { method: form.method },
    train: { schedule: form.schedule },
    search: {
      estimator: form.estimator,
      sizes: survival ? form.sizes : 'argmax',
      order: form.order,
      split: form.split,
      closable: survival && form.closable,
      schedule: form.searchSchedule,
    },
  };
  const root: Record<string, unknown> = config;
  for (const [name, { path, optional, needs, unit = 1 }] of Object.entries(fields)) {
    if (!isUsed(form, needs)) continue;
    const typed = number(form[name as TextField], optional) ?? (optional ? null : '');
    const value = typeof typed === 'number' && unit !== 1 ? Math.round(typed * unit) : typed;
    const [group, key] = path.split('.');
    if (key === undefined) root[group] = value;
    else config[group][key] = value;
  }
  const held = heldOut(form.files);
  if (held.length > 0) config.data.validation = held;
  config.data.weights = weightsOf(form.files);
  if (!searching(form)) root.search = false;
  if (!isUsed(form, 'training')) root.train = false;
  return root as RunConfigInput;
}

type Problems = Partial<Record<TextField | 'files', string>>;
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
  for (const [name, { path }] of Object.entries(fields)) {
    if (!byPath[path]) continue;
    const raw = form[name as TextField].trim();
    const message =
      raw === ''
        ? 'a number is needed here'
        : Number.isFinite(Number(raw))
          ? byPath[path]
          : `“${raw}” is not a number`;
    found[name as TextField] = inWords(message);
  }
  return found;
}

/** A message with the labels of fields in place of run.json's names. */
export const inWords = (message: string): string =>
  message.replace(/\b(?:train|adapter|data|search)\.\w+/g, (path) => labelOf(path) ?? path);

const labelOf = (path: string): string | undefined =>
  Object.values(fields)
    .find((f) => f.path === path)
    ?.label.toLowerCase();

/**
 * Trainable parameters: of the search (with its row scales; null without one) and of the adapter
 * (null where the search decides).
 */
export interface Trainable {
  search: number | null;
  adapter: number | null;
}

/** Trainable parameters that this form gives on this model, or null while it has mistakes. */
export function trainableParameters(form: Form, model: ModelReport): Trainable | null {
  if (Object.keys(formProblems(form)).length > 0) return null;
  const dims = siteDims(model);
  const targets = defaultRunConfig().adapter.targets;
  const [experts, rank] = [Number(form.experts), Number(form.rank)];
  const { allocated } = methodOf(form.method);
  const uniform = parameterCount(
    uniformAllocation(model.layers, targets, allocated ? experts : 1, rank),
    siteCost(form.method, dims),
  );
  if (!allocated) return { search: null, adapter: uniform };
  const wanted = form.parameters.trim() === '' ? null : Number(form.parameters);
  if (!searching(form)) return { search: null, adapter: wanted ?? uniform };
  return {
    search: uniform + model.layers * targets.length * experts * rank,
    adapter: form.thenTrain ? wanted : null,
  };
}

const systemOf = ({ system }: Form): string | null => (system.trim() === '' ? null : system);

/** How data is to be read, by this form. */
export const dataOptionsOf = (form: Form): DataOptions => ({
  maxLength: Number(form.maxLength),
  completionOnly: form.completionOnly,
  turns: form.turns,
  template: form.template,
  columns: form.columns,
  system: systemOf(form),
  limit: form.limit.trim() === '' ? null : Number(form.limit),
  whole: form.limit.trim() === '' ? [] : heldOut(form.files),
});

/** The fields that were read from with these options. */
export const fieldsOfData = ({ whole: _, ...data }: DataOptions): Partial<Form> => ({
  ...data,
  maxLength: String(data.maxLength),
  system: data.system ?? '',
  limit: data.limit === null ? '' : String(data.limit),
});
