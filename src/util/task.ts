// What takes long enough to report its progress, by name and in words.

/** The stages of loading a model, in order. */
export const LOADING = ['reading', 'uploading', 'compiling', 'warm-up'] as const;
export type LoadingStage = (typeof LOADING)[number];

/** A task that reports how far it is. */
export type Task = LoadingStage | 'evaluating' | 'validating' | 'answering' | 'choices';

/** A task as a person reads it. */
export const taskInWords: Readonly<Record<Task, string>> = {
  reading: 'Reading the model',
  uploading: 'Uploading the weights',
  compiling: 'Compiling kernels',
  'warm-up': 'Running a first pass',
  evaluating: 'Evaluating',
  validating: 'Validating',
  answering: 'Answering',
  choices: 'Scoring choices',
};

/** What a task counts; all but bytes are shown as they are. */
export type TaskUnit = 'bytes' | 'parts' | 'kernels' | 'passes' | 'rows' | 'choices';
