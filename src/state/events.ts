// Everything that can happen to the page's state: events of the workers, and what a person and the
// page itself do. Types only.
import type {
  AdapterReport,
  ColumnsFound,
  DatasetReport,
  DeviceReport,
  ExportReport,
  HeldOutReport,
  MemoryReport,
  ModelReport,
  ModelSide,
  ReadingProgress,
  WorkerEvent,
} from '../worker/protocol/api.ts';
import type { Failure } from '../worker/protocol/failure.ts';
import type { BenchmarkEvent } from './benchmark.ts';
import type { Form } from './fields.ts';
import type { FileUses } from './files.ts';
import type { LibraryEvent } from './library.ts';
import type { Playback } from './playback.ts';
import type { Question } from './question.ts';
import type { ReviewEvent } from './review.ts';

/** What is known of the device. */
export type DeviceState =
  | { status: 'checking' }
  | { status: 'ready'; report: DeviceReport }
  | { status: 'missing'; message: string };

/** What was asked for and is obeyed once the step, chunk or kernel under way is done. */
export type Pending = 'pause' | 'stop' | 'cancel';

/** What a run does, in order; without a search it is all `train`. */
export type Stage = 'search' | 'review' | 'train';

export type UiEvent =
  | { type: 'device'; device: DeviceState }
  | { type: 'model-loading' }
  | { type: 'model-ready'; report: ModelReport; demo: boolean }
  | { type: 'model-failed' }
  | { type: 'model-cancelled' }
  | { type: 'data-reading' }
  | { type: 'data-progress'; progress: ReadingProgress }
  | { type: 'data-ready'; report: DatasetReport; demo: boolean; files: FileUses }
  | { type: 'data-columns'; columns: ColumnsFound }
  | { type: 'data-failed' }
  | { type: 'data-cancelled' }
  | { type: 'memory'; report: MemoryReport }
  | { type: 'form'; change: Partial<Form> }
  | { type: 'run-asked'; stage: Stage }
  | { type: 'run-refused' }
  | { type: 'proceed-asked' }
  | { type: 'proceed-refused' }
  | { type: 'adapter-ready'; report: AdapterReport }
  | { type: 'pending'; what: Pending }
  | { type: 'playback'; playback: Playback }
  | { type: 'question'; change: Partial<Question> }
  | { type: 'asked'; id: number; prompt: string }
  | { type: 'chat-idle' }
  | { type: 'held-out-busy'; which: ModelSide | null }
  | { type: 'held-out'; report: HeldOutReport }
  | { type: 'export-busy' }
  | { type: 'export-ready'; report: Omit<ExportReport, 'zip'>; url: string }
  | { type: 'export-failed' }
  | { type: 'shortcuts-shown'; shown: boolean }
  | { type: 'said'; text: string }
  | { type: 'dismiss'; id: number };

export type AppEvent = WorkerEvent | UiEvent | ReviewEvent | LibraryEvent | BenchmarkEvent;

/** An event as the state takes it: a failure with the id of its notice. */
export type Action = Exclude<AppEvent, Failure> | (Failure & { id: number });
