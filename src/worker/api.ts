// What the page and its workers say to each other: commands through comlink, events through one port. Types only.
import type { RunConfig, RunConfigInput } from '../train/config.ts';

/** The device, for the check on the first screen. */
export interface DeviceReport {
  name: string;
  software: boolean;
  maxBindingBytes: number;
  subgroups: string | null;
  timestamps: boolean;
}

/** A loaded model. */
export interface ModelReport {
  name: string;
  architecture: string;
  parameters: number;
  layers: number;
  hidden: number;
  vocab: number;
  bytes: number;
  dtype: string;
  hasTemplate: boolean;
  maxPositions: number;
}

/** Where a model comes from: the built-in demo, or files of a local Hugging Face folder. */
export type ModelSource = { kind: 'demo' } | { kind: 'files'; name: string; files: File[] };

/** One token of a sample, for the preview with its loss mask. */
export interface PreviewToken {
  text: string;
  trained: boolean;
}

/** What was found in the dropped files. */
export interface DatasetReport {
  files: string[];
  rows: number;
  examples: number;
  bad: { file: string; line: number; reason: string; raw: string }[];
  truncated: number;
  tokens: number;
  trainedTokens: number;
  longest: number;
  /** The first row as tokens. */
  sample: PreviewToken[];
  /** Headers of a CSV whose columns could not be told; the page then asks for a mapping. */
  columns: string[] | null;
}

/** Where data comes from. */
export type DataSource = { kind: 'demo' } | { kind: 'files'; files: File[] };

/** How data is read. */
export interface DataOptions {
  maxLength: number;
  completionOnly: boolean;
  template: 'auto' | 'none';
  columns: { prompt: string; completion: string } | null;
}

/** A question to a model. */
export interface Question {
  id: number;
  prompt: string;
  /** `tuned` needs a run that has trained for at least a step. */
  which: 'base' | 'tuned';
  maxNewTokens: number;
  temperature: number;
  topP: number;
  seed: number;
  raw: boolean;
}

/** Commands of the trainer worker, which owns the device. */
export interface TrainerApi {
  openDevice(): Promise<DeviceReport>;
  loadModel(source: ModelSource): Promise<ModelReport>;
  /** Starts a run on the data that the data worker hands over; resolves once it has begun, or throws InputError for bad settings. */
  start(config: RunConfigInput): Promise<{ config: RunConfig; parameters: number; steps: number }>;
  pause(): void;
  resume(): void;
  /** Ends the run after the current step and keeps the adapter as it is. */
  stop(): void;
  /** Answers one question; tokens come as events. While a run is going it must be paused. */
  answer(question: Question): Promise<void>;
  stopAnswer(): void;
  /** A zip of the adapter's files and the run's config.json and metrics.jsonl, re-opened and compared before it is returned. */
  exportAdapter(): Promise<Uint8Array<ArrayBuffer>>;
}

/** Commands of the data worker. */
export interface DataApi {
  /** Loads the model's tokenizer (none: only pre-tokenised data can be read). */
  openTokenizer(source: ModelSource, vocab: number): Promise<{ tokenizer: boolean }>;
  read(source: DataSource, options: DataOptions): Promise<DatasetReport>;
}

/** Phases of the trainer. */
export type Phase = 'idle' | 'loading' | 'compiling' | 'training' | 'evaluating' | 'paused' | 'finished' | 'stopped' | 'failed';

/** Columns of equal length, one entry a step. */
export interface StepSeries {
  step: Float64Array;
  loss: Float64Array;
  ce: Float64Array;
  balance: Float64Array;
  lr: Float64Array;
  gradNorm: Float64Array;
  tokens: Float64Array;
  seconds: Float64Array;
}

/** Events of both workers, batched to at most ten a second. */
export type WorkerEvent =
  | { type: 'phase'; phase: Phase }
  | { type: 'progress'; task: string; done: number; total: number; unit: string; secondsLeft: number | null }
  | { type: 'steps'; series: StepSeries; total: number }
  | { type: 'validation'; step: number; loss: number }
  | { type: 'speed'; tokensPerSecond: number; secondsLeft: number | null }
  | { type: 'answer'; id: number; which: 'base' | 'tuned'; text: string; done: boolean }
  | { type: 'failure'; code: string; message: string };

/** Asked by the trainer of the data worker over their own port. */
export interface HandOver {
  /** All examples end to end: ids and labels, and where each example starts (examples + 1 entries). */
  ids: Int32Array<ArrayBuffer>;
  labels: Int32Array<ArrayBuffer>;
  starts: Int32Array<ArrayBuffer>;
}
