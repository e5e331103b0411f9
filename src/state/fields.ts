// The settings form's fields: what stands in each, where it goes in run.json, what is said about
// it, and when it has a use.
import { type MethodName, methodOf } from '../adapters/methods/methods.ts';
import type { DataOptions } from '../worker/protocol/api.ts';
import { type FileUses, heldOut } from './files.ts';

/** What stands in the fields; numbers as they were typed. */
export interface Form {
  method: MethodName;
  steps: string;
  epochs: string;
  learningRate: string;
  experts: string;
  rank: string;
  topK: string;
  alpha: string;
  dropout: string;
  balance: string;
  parameters: string;
  batch: string;
  microBatch: string;
  warmupSteps: string;
  schedule: 'linear' | 'cosine' | 'constant';
  weightDecay: string;
  clipNorm: string;
  evaluateEvery: string;
  validation: string;
  seed: string;
  memory: string;
  maxLength: string;
  completionOnly: boolean;
  turns: 'all' | 'last';
  packing: boolean;
  template: 'auto' | 'none';
  columns: DataOptions['columns'];
  /** The system prompt; empty: none. */
  system: string;
  limit: string;
  files: FileUses;
  search: boolean;
  estimator: 'survival' | 'paper';
  sizes: 'argmax' | 'sampled';
  order: 'first-order' | 'second-order';
  split: 'disjoint' | 'paired';
  closable: boolean;
  searchSchedule: 'linear' | 'cosine' | 'constant';
  searchSteps: string;
  searchBatch: string;
  searchMicroBatch: string;
  lowerLearningRate: string;
  upperLearningRate: string;
  searchWarmup: string;
  lowerOnlySteps: string;
  searchWeightDecay: string;
  searchClipNorm: string;
  budget: string;
  cost: string;
  /** Training follows the search. */
  thenTrain: boolean;
  /** The review waits for a person; a setting of the page, not of run.json. */
  waitAtReview: boolean;
}

export type TextField = { [K in keyof Form]: string extends Form[K] ? K : never }[Exclude<
  keyof Form,
  'system'
>];
export type ChoiceField =
  | 'method'
  | 'schedule'
  | 'estimator'
  | 'sizes'
  | 'order'
  | 'split'
  | 'searchSchedule';

/** What a field needs to be of use. */
export type Need = 'mixture' | 'search' | 'survival' | 'training' | 'share';

/** A text field: where its value stands in run.json, and what is said about it. */
export interface FieldInfo {
  path: string;
  label: string;
  help: string;
  /** The empty field is null ("no limit", "at the end only"). */
  optional?: boolean;
  needs?: Need;
  /** What one of the field's unit is in run.json. */
  unit?: number;
}

export const fields: Record<TextField, FieldInfo> = {
  steps: {
    path: 'train.steps',
    label: 'Length',
    help: 'Optimizer steps, 1 or more',
    needs: 'training',
  },
  epochs: {
    path: 'train.epochs',
    label: 'Epochs',
    help: 'Passes over the rows, instead of a length; empty: by length',
    optional: true,
    needs: 'training',
  },
  learningRate: {
    path: 'train.learningRate',
    label: 'Learning rate',
    help: 'Usually 1e-5 to 1e-2; small models take more',
    needs: 'training',
  },
  experts: {
    path: 'adapter.experts',
    label: 'Experts',
    help: 'In every linear, 1 to 64',
    needs: 'mixture',
  },
  rank: { path: 'adapter.rank', label: 'Rank', help: 'Of every expert, 1 to 1024' },
  topK: {
    path: 'adapter.topK',
    label: 'Experts per token',
    help: 'Top-k, at most the number of experts',
    needs: 'mixture',
  },
  alpha: { path: 'adapter.alpha', label: 'Alpha', help: 'The update is scaled by alpha / rank' },
  dropout: {
    path: 'adapter.dropout',
    label: 'Dropout',
    help: 'Of the adapter’s input, 0 to below 1',
  },
  balance: {
    path: 'adapter.balance',
    label: 'Balance',
    help: 'Coefficient of the balance loss, 0 or more',
    needs: 'mixture',
  },
  parameters: {
    path: 'adapter.parameters',
    label: 'Trainable parameters',
    help: 'Experts and ranks are scaled to come to this number; empty: as they are',
    optional: true,
    needs: 'mixture',
  },
  batch: {
    path: 'train.batch',
    label: 'Batch',
    help: 'Rows a step; a multiple of the micro-batch',
    needs: 'training',
  },
  microBatch: {
    path: 'train.microBatch',
    label: 'Micro-batch',
    help: 'Rows at a time; less needs less memory',
    needs: 'training',
  },
  warmupSteps: {
    path: 'train.warmupSteps',
    label: 'Warm-up',
    help: 'Steps until the full learning rate, 0 or more',
    needs: 'training',
  },
  weightDecay: {
    path: 'train.weightDecay',
    label: 'Weight decay',
    help: '0 or more',
    needs: 'training',
  },
  clipNorm: {
    path: 'train.clipNorm',
    label: 'Gradient clip',
    help: 'Largest norm; empty: no limit',
    optional: true,
    needs: 'training',
  },
  evaluateEvery: {
    path: 'train.evaluateEvery',
    label: 'Validate every',
    help: 'Steps; empty: at the end only',
    optional: true,
    needs: 'training',
  },
  validation: {
    path: 'data.validation',
    label: 'Validation share',
    help: 'Of the rows, 0 to below 1',
    needs: 'share',
  },
  seed: { path: 'seed', label: 'Seed', help: 'A whole number; the same seed gives the same run' },
  memory: {
    path: 'memory',
    label: 'Memory budget',
    help: 'MiB that a run may take with the model; it then saves where it must. Empty: not limited',
    optional: true,
    unit: 2 ** 20,
  },
  maxLength: {
    path: 'data.maxLength',
    label: 'Max length',
    help: 'Tokens a row may have; longer rows are cut',
  },
  limit: {
    path: 'data.limit',
    label: 'Limit',
    help: 'Rows to take, the first ones; empty: all',
    optional: true,
  },
  searchSteps: {
    path: 'search.steps',
    label: 'Search length',
    help: 'Upper steps, each with two micro-batches',
    needs: 'search',
  },
  searchBatch: {
    path: 'search.batch',
    label: 'Search batch',
    help: 'Rows a lower update; a multiple of its micro-batch',
    needs: 'search',
  },
  searchMicroBatch: {
    path: 'search.microBatch',
    label: 'Search micro-batch',
    help: 'Rows at a time',
    needs: 'search',
  },
  lowerLearningRate: {
    path: 'search.learningRate',
    label: 'Lower learning rate',
    help: 'Of the experts while sizes are searched',
    needs: 'search',
  },
  upperLearningRate: {
    path: 'search.upperLearningRate',
    label: 'Upper learning rate',
    help: 'Of the sizes; a short search needs 0.02 or more for them to move',
    needs: 'search',
  },
  searchWarmup: {
    path: 'search.warmupSteps',
    label: 'Search warm-up',
    help: 'Lower updates until the full learning rate',
    needs: 'search',
  },
  lowerOnlySteps: {
    path: 'search.lowerOnlySteps',
    label: 'Lower-only steps',
    help: 'Micro-batches at the start before sizes may move',
    needs: 'search',
  },
  searchWeightDecay: {
    path: 'search.weightDecay',
    label: 'Search weight decay',
    help: '0 or more',
    needs: 'search',
  },
  searchClipNorm: {
    path: 'search.clipNorm',
    label: 'Search gradient clip',
    help: 'Largest norm; empty: no limit',
    optional: true,
    needs: 'search',
  },
  budget: {
    path: 'search.budget',
    label: 'Budget',
    help: 'Share of the largest adapter’s parameters to stay below, above 0 to 1; empty: none',
    optional: true,
    needs: 'survival',
  },
  cost: {
    path: 'search.cost',
    label: 'Cost',
    help: 'Weight of the parameters in the upper loss, instead of a budget',
    needs: 'survival',
  },
};

/** Whether these settings begin with a search: only a mixture of experts has sizes to search. */
export const searching = (form: Form): boolean => form.search && methodOf(form.method).allocated;

const met: Record<Need, (form: Form) => boolean> = {
  mixture: (form) => methodOf(form.method).routed,
  search: searching,
  survival: (form) => searching(form) && form.estimator === 'survival',
  training: (form) => !searching(form) || form.thenTrain,
  share: (form) => heldOut(form.files).length === 0,
};

/** Whether what a field needs is there; all others are not looked at. */
export const isUsed = (form: Form, need: Need | undefined): boolean =>
  need === undefined || met[need](form);
