// What the page and its workers say to each other: commands through comlink, events through one
// port. Types only.
import type { MethodName } from '../../adapters/methods/methods.ts';
import type { Allocation, Sizes, Target } from '../../allocation/allocation.ts';
import type { RunConfigInput, SearchConfig, TrainingConfig } from '../../settings/run-config.ts';
import type { Problem } from '../../util/error.ts';
import type { Task, TaskUnit } from '../../util/task.ts';
import type { BenchmarkApi, BenchmarkProgress } from './benchmark.ts';
import type {
  ColumnsFound,
  DataOptions,
  DataSource,
  DatasetReport,
  ReadingProgress,
  SplitReport,
  SplitSettings,
} from './data-report.ts';
import type { Failure } from './failure.ts';

export type * from './data-report.ts';

/** The device, for the check on the first screen. */
export interface DeviceReport {
  name: string;
  software: boolean;
  /** The graphics card that the browser has beside a software device; null: none that is known. */
  graphics: string | null;
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
  heads: number;
  kvHeads: number;
  headDim: number;
  feedForward: number;
  vocab: number;
  bytes: number;
  dtype: string;
  hasTokenizer: boolean;
  hasTemplate: boolean;
  maxPositions: number;
  /** The variant of each kernel family that it runs in, or of a class of cases. */
  kernels: Readonly<Record<string, string>>;
}

/**
 * Where a model comes from: the built-in demo; files of a local Hugging Face folder, or one .gguf
 * file; this browser's storage, by key.
 */
export type ModelSource =
  | { kind: 'demo' }
  | { kind: 'files'; name: string; files: File[] }
  | { kind: 'stored'; key: string };

/** The base model alone, or with the adapter as it is now. */
export type ModelSide = 'base' | 'tuned';

/** A question to a model. */
export interface Question {
  id: number;
  prompt: string;
  /** `tuned` needs a run that has begun. */
  which: ModelSide;
  maxNewTokens: number;
  temperature: number;
  topP: number;
  seed: number;
  /** Goes before the prompt; null: nothing does. */
  system: string | null;
  /** The prompt as it stands, without the chat template. */
  raw: boolean;
}

/** What a training has begun with. */
export interface RunReport {
  config: TrainingConfig;
  /** Trainable parameters. */
  parameters: number;
  steps: number;
  trainRows: number;
  validationRows: number;
  /**
   * All adapted linears and their experts, in the order of the routing shares; none for plain LoRA.
   */
  routed: { path: string; experts: number }[];
}

/** An adapter that was opened from files. */
export interface AdapterReport {
  /** Of the folder or zip. */
  name: string;
  method: MethodName;
  parameters: number;
  /** The base model that it says it was made for. */
  base: string;
  /** Share of the rows that its run set aside for validation, or the files that it did. */
  validation: number | string[];
}

/** A linear of the search. */
export interface SearchSite {
  /** As in the base model, e.g. model.layers.0.self_attn.q_proj. */
  path: string;
  layer: number;
  target: Target;
  /** C and O. */
  inputs: number;
  outputs: number;
}

/** What a search has begun with. */
export interface SearchReport {
  config: SearchConfig;
  /** In the order of the values: layer by layer, q k v o gate up down within. */
  sites: SearchSite[];
  /** What is searched at a site: the number of experts and each one's rank, or one rank. */
  sizes: Sizes;
  /** E_max (1 where a site has one rank) and R_max. */
  experts: number;
  rank: number;
  topK: number;
  /** A site may close: the GSV of its size then has one entry more, index k meaning a size of k. */
  closable: boolean;
  /** Upper steps; pairs before the first upper step are not counted. */
  steps: number;
  trainRows: number;
  validationRows: number;
  /** Trained by the search: A, B, routers and row scales. */
  parameters: number;
  /** Counted work of a search step with its lower micro-step, in micro-steps of the lower level. */
  microSteps: number;
}

/**
 * What the search has come to, for the review: experts and ranks by argmax, fitted to
 * adapter.parameters where that is set.
 */
export interface ReviewReport {
  found: Allocation;
  /** Upper steps done, and whether these are all of them. */
  step: number;
  complete: boolean;
  /** Why adapter.parameters could not be met, or null. */
  problem: Problem | null;
}

/**
 * Upper steps, one entry a step; step 0 is the start, whose loss is NaN. `values` has the GSVs of
 * every step end to end: for each site g_E (experts, or one more where sites can close), then g_R
 * of each of its experts (rank).
 */
export interface UpperSeries {
  step: Float64Array;
  loss: Float64Array;
  /** λ, and E[params] as a share of the largest allocation; 0 without cost and budget. */
  lambda: Float64Array;
  share: Float64Array;
  values: Float32Array<ArrayBuffer>;
}

/** Greedy answers to held-out prompts. */
export interface HeldOutReport {
  which: ModelSide;
  /** Optimizer steps that the adapter had seen; null for one that was opened from files. */
  step: number | null;
  rows: number;
  exact: number;
  /** The first rows, for the table. */
  shown: {
    prompt: string;
    expected: string;
    answer: string;
    exact: boolean;
    picked: { text: string; right: boolean } | null;
  }[];
  /**
   * Of questions with choices: how many, and how many are right by the likeliest choice; null where
   * there are none.
   */
  choices: { questions: number; right: number } | null;
}

/**
 * Whether a model can be trained with the settings there are: its bytes then, or the settings that
 * would have to be smaller; or why it cannot be loaded.
 */
export type ShapeVerdict =
  | { verdict: 'fits'; bytes: number }
  | { verdict: 'tight'; smaller: string }
  | { verdict: 'does-not-fit' }
  | { verdict: 'refused'; problem: Problem };

/** A model that is not here yet: the text of its config.json, and the bytes of its weights. */
export interface CandidateModel {
  name: string;
  config: string;
  bytes: number;
}

/** What a stage of a run needs on the device, in bytes by category, and how it then runs. */
export interface StageMemory {
  stage: 'search' | 'training';
  bytes: Record<
    'weights' | 'adapter' | 'optimizer' | 'activations' | 'logits' | 'cache' | 'other',
    number
  >;
  total: number;
  microBatch: number;
  /** What is computed twice, to keep less. */
  recompute: 'none' | 'mlp' | 'block';
  /** Rows of logits at a time. */
  logitsChunkRows: number;
}

/** The memory of a run that has not begun. */
export interface MemoryReport {
  stages: StageMemory[];
  /** Why it cannot be, with the nearest settings that can; or null. */
  problem: Problem | null;
}

/** A zip of the adapter, re-opened and compared. */
export interface ExportReport {
  name: string;
  zip: Uint8Array<ArrayBuffer>;
  files: { name: string; bytes: number }[];
  /** Tensors that were read back equal, bit by bit. */
  tensors: number;
  /** Optimizer steps applied to the adapter. */
  step: number;
}

/** Commands of the trainer worker, which owns the device. */
export interface TrainerApi extends BenchmarkApi {
  /**
   * Ports: `events` to the page, `data` to the data worker; `base`: where the page lies, for the
   * built-in demo. Called first.
   */
  connect(events: MessagePort, data: MessagePort, base: string): void;
  openDevice(): Promise<DeviceReport>;
  /**
   * Null: it was cancelled; then, and where it throws, the model before stays. Its stages are events.
   */
  loadModel(source: ModelSource): Promise<ModelReport | null>;
  /** Cancels the current load at the next chunk or kernel. */
  cancelLoading(): void;
  /**
   * Counts the memory of a run with these settings on the data that the data worker holds;
   * `reading` tells one dataset from another.
   */
  estimateMemory(config: RunConfigInput, reading: number): Promise<MemoryReport>;
  /** Whether a model fits, one of a known shape by its name; counted, not loaded. */
  assessModel(model: string | CandidateModel, config: RunConfigInput): Promise<ShapeVerdict>;
  /**
   * Starts a run on the data that the data worker hands over; resolves once it has begun, or throws
   * InputError for bad settings.
   */
  start(config: RunConfigInput): Promise<void>;
  /**
   * Ends the review: trains with exactly this allocation. Resolves once the training has begun; the
   * review stays where it throws.
   */
  proceed(allocation: Allocation): Promise<void>;
  /** Ends the review and with it the run, without training. */
  discard(): void;
  pause(): void;
  resume(): void;
  /**
   * Ends the stage after the current step: a search goes to its review, a training keeps the
   * adapter as it is.
   */
  stop(): void;
  /**
   * Opens an adapter (its folder's files, or one zip) as the tuned model. A run that has ended is
   * given up with its adapter.
   */
  loadAdapter(files: File[]): Promise<AdapterReport>;
  /** Answers one question; tokens come as events. While a run is going it must be paused. */
  answer(question: Question): Promise<void>;
  /**
   * Greedy answers to held-out rows and how many equal the expected ones. While a run is going it
   * must be paused.
   */
  checkHeldOut(which: ModelSide): Promise<HeldOutReport>;
  /** Ends answers and held-out checks that are going. */
  stopAnswer(): void;
  /**
   * The adapter's files with the run's config.json and metrics.jsonl, re-opened and compared before
   * they are returned.
   */
  exportAdapter(): Promise<ExportReport>;
}

/** Commands of the data worker. */
export interface DataApi {
  /** The port to the trainer, and where the page lies. Called first. */
  connect(trainer: MessagePort, base: string): void;
  /**
   * Loads the model's tokenizer (none: only pre-tokenised data can be read). Forgets data read
   * before.
   */
  openTokenizer(
    source: ModelSource,
    vocab: number,
  ): Promise<{ tokenizer: boolean; template: boolean }>;
  /**
   * Null: it was cancelled, and there is no data now. `onProgress` is called a few times a second.
   */
  read(
    source: DataSource,
    options: DataOptions,
    onProgress?: (progress: ReadingProgress) => void,
  ): Promise<DatasetReport | ColumnsFound | null>;
  /** What validation and the weights of files come to on the data that was read last. */
  split(settings: SplitSettings, seed: number): SplitReport;
  /** Cancels the current reading. */
  cancel(): void;
}

/** Phases of the trainer. */
export type Phase =
  | 'idle'
  | 'loading'
  | 'compiling'
  | 'searching'
  | 'review'
  | 'training'
  | 'evaluating'
  | 'paused'
  | 'finished'
  | 'stopped'
  | 'failed';

/** Columns of equal length, one entry a step; in a search, a lower update. */
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

/** Events of the trainer, batched to at most ten a second. */
export type WorkerEvent =
  | { type: 'phase'; phase: Phase }
  | {
      type: 'progress';
      task: Task;
      done: number;
      total: number;
      unit: TaskUnit;
      secondsLeft?: number | null;
    }
  | { type: 'search-began'; report: SearchReport }
  | { type: 'upper'; series: UpperSeries; total: number }
  | { type: 'review'; report: ReviewReport }
  | { type: 'training-began'; report: RunReport }
  | { type: 'steps'; stage: 'search' | 'train'; series: StepSeries; total: number }
  | { type: 'routing'; shares: Float32Array }
  | { type: 'validation'; step: number; loss: number }
  | { type: 'speed'; tokensPerSecond: number | null; secondsPerStep: number; secondsLeft: number }
  | { type: 'answer'; id: number; which: ModelSide; text: string; tokens: number; done: boolean }
  | BenchmarkProgress
  | Failure;
