// The settings form: raw text of every field, and how it becomes run.json.
import { parameterCount, siteDims, uniformAllocation } from '../adapters/allocation.ts';
import { defaultRunConfig, type RunConfigInput, runConfigProblems, type TrainingConfig } from '../train/config.ts';
import type { DataOptions, ModelReport } from '../worker/api.ts';

/** What stands in the fields; numbers as they were typed. */
export interface Form {
  steps: string;
  learningRate: string;
  method: 'lora-moe' | 'lora';
  experts: string;
  rank: string;
  topK: string;
  alpha: string;
  dropout: string;
  balance: string;
  batch: string;
  microBatch: string;
  warmupSteps: string;
  schedule: 'linear' | 'cosine' | 'constant';
  weightDecay: string;
  clipNorm: string;
  evaluateEvery: string;
  validation: string;
  seed: string;
  maxLength: string;
  completionOnly: boolean;
  template: 'auto' | 'none';
  columns: DataOptions['columns'];
}

export type TextField = { [K in keyof Form]: string extends Form[K] ? K : never }[keyof Form];

/** A text field: where its value stands in run.json, and what is said about it. */
export interface FieldInfo {
  path: string;
  label: string;
  help: string;
  /** The empty field is null ("no limit", "at the end only"). */
  optional?: boolean;
  /** Only for a mixture of experts. */
  moe?: boolean;
}

export const fields: Record<TextField, FieldInfo> = {
  steps: { path: 'train.steps', label: 'Length', help: 'Optimizer steps, 1 or more' },
  learningRate: { path: 'train.learningRate', label: 'Learning rate', help: 'Usually 1e-5 to 1e-2; small models take more' },
  experts: { path: 'adapter.experts', label: 'Experts', help: 'In every linear, 1 to 64', moe: true },
  rank: { path: 'adapter.rank', label: 'Rank', help: 'Of every expert, 1 to 1024' },
  topK: { path: 'adapter.topK', label: 'Experts per token', help: 'Top-k, at most the number of experts', moe: true },
  alpha: { path: 'adapter.alpha', label: 'Alpha', help: 'The update is scaled by alpha / rank' },
  dropout: { path: 'adapter.dropout', label: 'Dropout', help: 'Of the adapter’s input, 0 to below 1' },
  balance: { path: 'adapter.balance', label: 'Balance', help: 'Coefficient of the balance loss, 0 or more', moe: true },
  batch: { path: 'train.batch', label: 'Batch', help: 'Rows a step; a multiple of the micro-batch' },
  microBatch: { path: 'train.microBatch', label: 'Micro-batch', help: 'Rows at a time; less needs less memory' },
  warmupSteps: { path: 'train.warmupSteps', label: 'Warm-up', help: 'Steps until the full learning rate, 0 or more' },
  weightDecay: { path: 'train.weightDecay', label: 'Weight decay', help: '0 or more' },
  clipNorm: { path: 'train.clipNorm', label: 'Gradient clip', help: 'Largest norm; empty: no limit', optional: true },
  evaluateEvery: { path: 'train.evaluateEvery', label: 'Validate every', help: 'Steps; empty: at the end only', optional: true },
  validation: { path: 'data.validation', label: 'Validation share', help: 'Of the rows, 0 to below 1' },
  seed: { path: 'seed', label: 'Seed', help: 'A whole number; the same seed gives the same run' },
  maxLength: { path: 'data.maxLength', label: 'Max length', help: 'Tokens a row may have; longer rows are cut' },
};

const number = (text: string, optional = false): unknown => {
  const trimmed = text.trim();
  if (trimmed === '') return optional ? null : undefined;
  const value = Number(trimmed);
  return Number.isFinite(value) ? value : trimmed;
};

/** The form that shows a configuration. */
export function formOf(config: TrainingConfig): Form {
  const text = (v: number | null) => (v === null ? '' : String(v));
  const { seed, data, adapter, train } = config;
  return {
    steps: text(train.steps),
    learningRate: text(train.learningRate),
    method: adapter.method,
    experts: text(adapter.experts),
    rank: text(adapter.rank),
    topK: text(adapter.topK),
    alpha: text(adapter.alpha),
    dropout: text(adapter.dropout),
    balance: text(adapter.balance),
    batch: text(train.batch),
    microBatch: text(train.microBatch),
    warmupSteps: text(train.warmupSteps),
    schedule: train.schedule,
    weightDecay: text(train.weightDecay),
    clipNorm: text(train.clipNorm),
    evaluateEvery: text(train.evaluateEvery),
    validation: text(data.validation),
    seed: text(seed),
    maxLength: text(data.maxLength),
    completionOnly: data.completionOnly,
    template: data.template,
    columns: data.columns,
  };
}

/** The page's defaults: run.json's, with a batch that suits small datasets and a validation during the run. */
export const defaultForm = (): Form => ({ ...formOf(defaultRunConfig()), batch: '16', microBatch: '8', evaluateEvery: '20' });

/** run.json of what stands in the form; what cannot be a number stays text, so that the check names it. */
export function configOf(form: Form): RunConfigInput {
  const config: Record<string, Record<string, unknown>> = {
    data: { completionOnly: form.completionOnly, template: form.template, columns: form.columns },
    adapter: { method: form.method },
    train: { schedule: form.schedule },
  };
  const root: Record<string, unknown> = config;
  for (const [name, { path, optional }] of Object.entries(fields)) {
    const value = number(form[name as TextField], optional) ?? (optional ? null : '');
    const [group, key] = path.split('.');
    if (key === undefined) root[group] = value;
    else config[group][key] = value;
  }
  return config as RunConfigInput;
}

type Problems = Partial<Record<TextField, string>>;
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
  for (const [name, { path }] of Object.entries(fields)) {
    if (!byPath[path]) continue;
    const raw = form[name as TextField].trim();
    const message = raw === '' ? 'a number is needed here' : Number.isFinite(Number(raw)) ? byPath[path] : `“${raw}” is not a number`;
    found[name as TextField] = message.replace(
      /\b(train|adapter|data)\.(\w+)/g,
      (whole, group, key) => labelOf(`${group}.${key}`) ?? whole,
    );
  }
  return found;
}

const labelOf = (path: string): string | undefined =>
  Object.values(fields)
    .find((f) => f.path === path)
    ?.label.toLowerCase();

/** Trainable parameters that this form gives on this model, or null while it has mistakes. */
export function trainableParameters(form: Form, model: ModelReport): number | null {
  if (Object.keys(formProblems(form)).length > 0) return null;
  const moe = form.method === 'lora-moe';
  const dims = siteDims(model);
  const targets = defaultRunConfig().adapter.targets;
  if (moe) return parameterCount(uniformAllocation(model.layers, targets, Number(form.experts), Number(form.rank)), dims);
  return model.layers * targets.reduce((sum, t) => sum + Number(form.rank) * (dims[t].inputs + dims[t].outputs), 0);
}

/** How data is to be read, by this form. */
export const dataOptionsOf = (form: Form): DataOptions => ({
  maxLength: Number(form.maxLength),
  completionOnly: form.completionOnly,
  template: form.template,
  columns: form.columns,
});
