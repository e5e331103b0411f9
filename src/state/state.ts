// The page's state and the pure function that events change it with. Metric series live in
// series.ts.

import type { FailureCode } from '../util/error.ts';
import { taskInWords } from '../util/task.ts';
import type {
  AdapterReport,
  ColumnsFound,
  DatasetReport,
  ExportReport,
  HeldOutReport,
  MemoryReport,
  ModelReport,
  ModelSide,
  ReadingProgress,
  WorkerEvent,
} from '../worker/protocol/api.ts';
import { type BenchmarkState, noBenchmark, reduceBenchmark, sayBenchmark } from './benchmark.ts';
import type { Action, DeviceState, Pending } from './events.ts';
import type { Form } from './fields.ts';
import { defaultForm } from './form.ts';
import { type LibraryState, noLibrary, reduceLibrary } from './library.ts';
import { live, type Playback } from './playback.ts';
import { demoPrompt, noQuestion, type Question } from './question.ts';
import { type ReviewState, reduceReview, reviewOf } from './review.ts';
import { hasAdapter, idleRun, type RunState, reduceRun, sayPhase } from './run.ts';

/** Something that went wrong, shown until dismissed. */
export interface Notice {
  id: number;
  code: FailureCode;
  message: string;
}

/** One question with its answers. */
export interface Exchange {
  id: number;
  prompt: string;
  answers: Partial<Record<ModelSide, { text: string; tokens: number; done: boolean }>>;
}

/** How far a task of the trainer is. */
export type Progress = Extract<WorkerEvent, { type: 'progress' }>;

export interface State {
  device: DeviceState;
  benchmark: BenchmarkState;
  model: { status: 'none' | 'loading' | 'ready'; report: ModelReport | null; demo: boolean };
  data: {
    status: 'none' | 'reading' | 'ready';
    report: DatasetReport | null;
    columns: ColumnsFound | null;
    /** Progress of the current reading. */
    progress: ReadingProgress | null;
    demo: boolean;
  };
  library: LibraryState;
  form: Form;
  /** The memory that the form comes to; null while it has not been counted. */
  memory: MemoryReport | null;
  progress: Progress | null;
  /** The stages that the loading of a model has begun, each with how far it is. */
  loading: readonly Progress[];
  run: RunState;
  pending: Pending | null;
  /** Of the search's recorded steps. */
  playback: Playback;
  /** From the end of a search on. */
  review: ReviewState | null;
  /** An adapter that was opened from files: the tuned model while no run has made one. */
  adapter: AdapterReport | null;
  question: Question;
  chat: { exchange: Exchange | null; busy: boolean };
  heldOut: { busy: ModelSide | null; base: HeldOutReport | null; tuned: HeldOutReport | null };
  exported: {
    status: 'none' | 'busy' | 'ready';
    report: Omit<ExportReport, 'zip'> | null;
    url: string;
  };
  notices: Notice[];
  /** Whether the list of keyboard shortcuts is open. */
  shortcuts: boolean;
  /** What the live region says. */
  announcement: string;
}

const noExport: State['exported'] = { status: 'none', report: null, url: '' };
const noHeldOut: State['heldOut'] = { busy: null, base: null, tuned: null };
const noChat: State['chat'] = { exchange: null, busy: false };
const noData: State['data'] = {
  status: 'none',
  report: null,
  columns: null,
  progress: null,
  demo: false,
};

/** Before anything happened. */
export const initialState = (): State => ({
  device: { status: 'checking' },
  benchmark: noBenchmark,
  model: { status: 'none', report: null, demo: false },
  data: noData,
  library: noLibrary,
  form: defaultForm(),
  memory: null,
  progress: null,
  loading: [],
  run: idleRun,
  pending: null,
  playback: live,
  review: null,
  adapter: null,
  question: noQuestion,
  chat: noChat,
  heldOut: noHeldOut,
  exported: noExport,
  notices: [],
  shortcuts: false,
  announcement: '',
});

/** True when there is a tuned model to ask: a run's, or one from files. */
export const hasTuned = ({ run, adapter }: Pick<State, 'run' | 'adapter'>): boolean =>
  adapter !== null || hasAdapter(run);

/** Nothing of an adapter that was there before. */
const fresh = {
  pending: null,
  playback: live,
  review: null,
  adapter: null,
  chat: noChat,
  heldOut: noHeldOut,
  exported: noExport,
  progress: null,
};

const titles: Record<FailureCode, string> = {
  'bad-file': 'This file cannot be read',
  'bad-config': 'A setting is not valid',
  'bad-model': 'This model cannot be used',
  'bad-tokenizer': 'This tokenizer cannot be used',
  'bad-data': 'This data cannot be used',
  'bad-adapter': 'This adapter cannot be used',
  'bad-option': 'This is not possible',
  'missing-file': 'A file is missing',
  hub: 'This model cannot be downloaded',
  'too-large': 'There is not enough memory or storage',
  'no-webgpu': 'WebGPU is not available',
  internal: 'Something went wrong',
};

/** A notice in a few words. */
export const titleOf = ({ code }: Notice): string => titles[code];

const without = (notices: readonly Notice[], code: FailureCode): Notice[] =>
  notices.filter((n) => n.code !== code);

/** The next state. Pure. */
export function reduce(before: State, event: Action): State {
  const run = reduceRun(before.run, event);
  const library = reduceLibrary(before.library, event);
  const benchmark = reduceBenchmark(before.benchmark, event);
  const isSame = run === before.run && library === before.library && benchmark === before.benchmark;
  const state = isSame ? before : { ...before, run, library, benchmark };
  switch (event.type) {
    case 'device':
      return { ...state, device: event.device };
    case 'model-loading':
      return { ...state, model: { ...state.model, status: 'loading' }, loading: [] };
    case 'model-ready':
      return {
        ...state,
        model: { status: 'ready', report: event.report, demo: event.demo },
        ...fresh,
        question:
          event.demo && state.question.prompt === ''
            ? { ...state.question, prompt: demoPrompt }
            : state.question,
        data: noData,
        memory: null,
        notices: [], // of attempts before it
        announcement: `Model ${event.report.name} is ready.`,
      };
    case 'model-failed': // the trainer keeps the model that it had
    case 'model-cancelled':
      return {
        ...state,
        model: { ...state.model, status: state.model.report ? 'ready' : 'none' },
        pending: null,
        announcement:
          event.type === 'model-cancelled' ? 'Loading was cancelled.' : state.announcement,
      };
    case 'data-reading':
      return { ...state, data: { ...state.data, status: 'reading', progress: null } };
    case 'data-progress':
      return state.data.status === 'reading'
        ? { ...state, data: { ...state.data, progress: event.progress } }
        : state;
    case 'data-cancelled':
      return { ...state, data: noData, announcement: 'Reading was cancelled.' };
    case 'data-ready':
      return {
        ...state,
        data: {
          status: 'ready',
          report: event.report,
          columns: null,
          progress: null,
          demo: event.demo,
        },
        form: { ...state.form, files: event.files },
        memory: null,
        heldOut: noHeldOut,
        notices: without(state.notices, 'bad-data'),
        announcement: `${event.report.examples} of ${event.report.rows} rows can be used.`,
      };
    case 'data-columns':
      return {
        ...state,
        data: { ...noData, columns: event.columns },
        announcement: 'Choose what each column is.',
      };
    case 'data-failed':
      return { ...state, data: { ...state.data, status: state.data.report ? 'ready' : 'none' } };
    case 'form':
      return { ...state, form: { ...state.form, ...event.change }, memory: null };
    case 'memory':
      return { ...state, memory: event.report };
    case 'run-asked':
      return { ...state, ...fresh };
    case 'adapter-ready':
      return {
        ...state,
        ...fresh,
        adapter: event.report,
        notices: without(state.notices, 'bad-adapter'),
        announcement: `The adapter ${event.report.name} is ready.`,
      };
    case 'training-began':
      return { ...state, announcement: `Training has begun: ${event.report.steps} steps.` };
    case 'run-refused':
    case 'proceed-refused':
      return { ...state, progress: null };
    case 'review': {
      const { problem, complete } = event.report;
      const autoContinue =
        complete &&
        problem === null &&
        !state.form.waitAtReview &&
        state.run.search?.config.train !== false;
      return {
        ...state,
        review: reviewOf(event.report, autoContinue),
        announcement: sayReview(autoContinue),
      };
    }
    case 'review-edit':
    case 'review-lock':
    case 'review-undo':
    case 'review-redo':
    case 'review-touched':
      return state.review ? { ...state, review: reduceReview(state.review, event) } : state;
    case 'phase':
      return {
        ...state,
        progress: null,
        pending: null,
        announcement: sayPhase(event.phase, run) || state.announcement,
      };
    case 'progress': {
      if (state.model.status !== 'loading') return { ...state, progress: event };
      const started = state.loading.filter(({ task }) => task !== event.task);
      const announcement =
        started.length === state.loading.length
          ? `${taskInWords[event.task]}.`
          : state.announcement;
      return { ...state, loading: [...started, event], announcement };
    }
    case 'pending':
      return { ...state, pending: event.what };
    case 'playback':
      return { ...state, playback: event.playback };
    case 'question':
      return { ...state, question: { ...state.question, ...event.change } };
    case 'asked':
      return {
        ...state,
        chat: { exchange: { id: event.id, prompt: event.prompt, answers: {} }, busy: true },
      };
    case 'answer': {
      const { exchange } = state.chat;
      if (exchange?.id !== event.id) return state;
      const answer = { text: event.text, tokens: event.tokens, done: event.done };
      return {
        ...state,
        chat: {
          ...state.chat,
          exchange: { ...exchange, answers: { ...exchange.answers, [event.which]: answer } },
        },
      };
    }
    case 'chat-idle':
      return {
        ...state,
        chat: { ...state.chat, busy: false },
        announcement: 'The answer is complete.',
      };
    case 'held-out-busy':
      return { ...state, heldOut: { ...state.heldOut, busy: event.which }, progress: null };
    case 'held-out':
      return {
        ...state,
        heldOut: { ...state.heldOut, [event.report.which]: event.report },
        announcement: `${event.report.which === 'base' ? 'Base' : 'Tuned'} model: ${event.report.exact} of ${event.report.rows} held-out answers are exact.`,
      };
    case 'export-busy':
      return { ...state, exported: { ...noExport, status: 'busy' } };
    case 'export-ready':
      return {
        ...state,
        exported: { status: 'ready', report: event.report, url: event.url },
        announcement: 'The adapter is ready to download.',
      };
    case 'export-failed':
      return { ...state, exported: noExport };
    case 'failure': {
      const { id, code, message } = event;
      const others = state.notices.filter((n) => n.code !== code || n.message !== message);
      return { ...state, notices: [...others, { id, code, message }].slice(-4) };
    }
    case 'benchmark-done':
      return { ...state, announcement: sayBenchmark(event.report) };
    case 'shortcuts-shown':
      return { ...state, shortcuts: event.shown };
    case 'said':
      return { ...state, announcement: event.text };
    case 'dismiss':
      return { ...state, notices: state.notices.filter((n) => n.id !== event.id) };
    default:
      return state; // events of the run's figures alone
  }
}

/** Seconds that the review waits before the training follows by itself. */
export const REVIEW_SECONDS = 20;

const sayReview = (autoContinue: boolean): string =>
  `The search is done: review its allocation.${autoContinue ? ` Training follows in ${REVIEW_SECONDS} seconds.` : ''}`;
