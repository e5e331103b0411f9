// The page's state and the pure function that events change it with. Metric series live in series.ts.
import type {
  ColumnsWanted,
  DatasetReport,
  DeviceReport,
  ExportReport,
  HeldOutReport,
  ModelReport,
  Phase,
  RunReport,
  Which,
  WorkerEvent,
} from '../worker/api.ts';
import { defaultForm, type Form } from './form.ts';

/** Something that went wrong, shown until dismissed. */
export interface Notice {
  id: number;
  title: string;
  message: string;
}

/** One question with its answers. */
export interface Exchange {
  id: number;
  prompt: string;
  answers: Partial<Record<Which, { text: string; tokens: number; done: boolean }>>;
}

export interface RunState {
  phase: Phase;
  report: RunReport | null;
  step: number;
  total: number;
  loss: number | null;
  validation: number | null;
  tokensPerSecond: number | null;
  secondsLeft: number | null;
  seconds: number;
}

export interface State {
  device: { status: 'checking' } | { status: 'ready'; report: DeviceReport } | { status: 'missing'; message: string };
  model: { status: 'none' | 'loading' | 'ready'; report: ModelReport | null; demo: boolean };
  data: { status: 'none' | 'reading' | 'ready'; report: DatasetReport | null; columns: ColumnsWanted | null; demo: boolean };
  form: Form;
  progress: { task: string; done: number; total: number; unit: string } | null;
  run: RunState;
  chat: { exchange: Exchange | null; busy: boolean };
  heldOut: { busy: Which | null; base: HeldOutReport | null; tuned: HeldOutReport | null };
  exported: { status: 'none' | 'busy' | 'ready'; report: Omit<ExportReport, 'zip'> | null; url: string };
  notices: Notice[];
  /** What the live region says. */
  announcement: string;
}

export type UiEvent =
  | { type: 'device'; device: State['device'] }
  | { type: 'model-loading' }
  | { type: 'model-ready'; report: ModelReport; demo: boolean }
  | { type: 'model-failed' }
  | { type: 'data-reading' }
  | { type: 'data-ready'; report: DatasetReport; demo: boolean }
  | { type: 'data-columns'; columns: ColumnsWanted }
  | { type: 'data-failed' }
  | { type: 'form'; change: Partial<Form> }
  | { type: 'run-asked' }
  | { type: 'run-began'; report: RunReport }
  | { type: 'run-refused' }
  | { type: 'asked'; id: number; prompt: string }
  | { type: 'chat-idle' }
  | { type: 'held-out-busy'; which: Which | null }
  | { type: 'held-out'; report: HeldOutReport }
  | { type: 'export-busy' }
  | { type: 'export-ready'; report: Omit<ExportReport, 'zip'>; url: string }
  | { type: 'export-failed' }
  | { type: 'dismiss'; id: number };

export type AppEvent = WorkerEvent | UiEvent;

const idleRun: RunState = {
  phase: 'idle',
  report: null,
  step: 0,
  total: 0,
  loss: null,
  validation: null,
  tokensPerSecond: null,
  secondsLeft: null,
  seconds: 0,
};
const noExport: State['exported'] = { status: 'none', report: null, url: '' };
const noHeldOut: State['heldOut'] = { busy: null, base: null, tuned: null };
const noChat: State['chat'] = { exchange: null, busy: false };
const noData: State['data'] = { status: 'none', report: null, columns: null, demo: false };

/** Before anything happened. */
export const initialState = (): State => ({
  device: { status: 'checking' },
  model: { status: 'none', report: null, demo: false },
  data: noData,
  form: defaultForm(),
  progress: null,
  run: idleRun,
  chat: noChat,
  heldOut: noHeldOut,
  exported: noExport,
  notices: [],
  announcement: '',
});

/** True while a run holds the device: other work waits for a pause or its end. */
export const isGoing = (phase: Phase): boolean => ['loading', 'compiling', 'training', 'evaluating'].includes(phase);
/** True while a run has neither ended nor failed. */
export const isOpen = (phase: Phase): boolean => isGoing(phase) || phase === 'paused';
/** True when there is an adapter to ask and to export. */
export const hasAdapter = (run: RunState): boolean => run.step > 0 && ['paused', 'finished', 'stopped'].includes(run.phase);

const titles: Record<string, string> = {
  'bad-file': 'This file cannot be read',
  'bad-config': 'A setting does not fit',
  'bad-model': 'This model cannot be used',
  'bad-tokenizer': 'This tokenizer cannot be used',
  'bad-data': 'This data cannot be used',
  'bad-adapter': 'This adapter cannot be used',
  'bad-option': 'This is not possible',
  'missing-file': 'A file is missing',
  'no-webgpu': 'WebGPU is not available',
};

let lastNotice = 0;

/** The next state. Pure but for the numbers of notices. */
export function reduce(state: State, event: AppEvent): State {
  const run = (change: Partial<RunState>): State => ({ ...state, run: { ...state.run, ...change } });
  switch (event.type) {
    case 'device':
      return { ...state, device: event.device };
    case 'model-loading':
      return { ...state, model: { ...state.model, status: 'loading' }, progress: null };
    case 'model-ready':
      return {
        ...state,
        model: { status: 'ready', report: event.report, demo: event.demo },
        data: noData,
        run: idleRun,
        chat: noChat,
        heldOut: noHeldOut,
        exported: noExport,
        progress: null,
        notices: [], // of attempts before it
        announcement: `Model ${event.report.name} is ready.`,
      };
    case 'model-failed': // the trainer keeps the model that it had
      return { ...state, model: { ...state.model, status: state.model.report ? 'ready' : 'none' }, progress: null };
    case 'data-reading':
      return { ...state, data: { ...state.data, status: 'reading' } };
    case 'data-ready':
      return {
        ...state,
        data: { status: 'ready', report: event.report, columns: null, demo: event.demo },
        heldOut: noHeldOut,
        notices: state.notices.filter((n) => n.title !== titles['bad-data']),
        announcement: `${event.report.examples} of ${event.report.rows} rows can be used.`,
      };
    case 'data-columns':
      return { ...state, data: { ...noData, columns: event.columns }, announcement: 'Choose the columns of prompt and completion.' };
    case 'data-failed':
      return { ...state, data: { ...state.data, status: state.data.report ? 'ready' : 'none' } };
    case 'form':
      return { ...state, form: { ...state.form, ...event.change } };
    case 'run-asked':
      return { ...state, run: { ...idleRun, phase: 'loading' }, chat: noChat, heldOut: noHeldOut, exported: noExport, progress: null };
    case 'run-began':
      return {
        ...run({ report: event.report, total: event.report.steps }),
        announcement: `Training has begun: ${event.report.steps} steps.`,
      };
    case 'run-refused':
      return { ...state, run: idleRun, progress: null };
    case 'phase':
      return { ...run({ phase: event.phase }), progress: null, announcement: sayPhase(event.phase, state) };
    case 'progress':
      return { ...state, progress: { task: event.task, done: event.done, total: event.total, unit: event.unit } };
    case 'steps': {
      const last = event.series.step.length - 1;
      if (last < 0) return state;
      const { step, loss, seconds } = event.series;
      return run({ step: step[last], loss: loss[last], seconds: seconds[last], total: event.total });
    }
    case 'validation':
      return run({ validation: event.loss });
    case 'speed':
      return run({ tokensPerSecond: event.tokensPerSecond, secondsLeft: event.secondsLeft });
    case 'asked':
      return { ...state, chat: { exchange: { id: event.id, prompt: event.prompt, answers: {} }, busy: true } };
    case 'answer': {
      const { exchange } = state.chat;
      if (exchange?.id !== event.id) return state;
      const answer = { text: event.text, tokens: event.tokens, done: event.done };
      return { ...state, chat: { ...state.chat, exchange: { ...exchange, answers: { ...exchange.answers, [event.which]: answer } } } };
    }
    case 'chat-idle':
      return { ...state, chat: { ...state.chat, busy: false }, announcement: 'The answer is complete.' };
    case 'held-out-busy':
      return { ...state, heldOut: { ...state.heldOut, busy: event.which }, progress: null };
    case 'held-out':
      return {
        ...state,
        heldOut: { ...state.heldOut, [event.report.which]: event.report },
        announcement: `${event.report.which}: ${event.report.exact} of ${event.report.rows} held-out answers are exact.`,
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
      const notice = { id: ++lastNotice, title: titles[event.code] ?? 'Something went wrong', message: event.message };
      const others = state.notices.filter((n) => n.message !== notice.message);
      return { ...state, notices: [...others, notice].slice(-4) };
    }
    case 'dismiss':
      return { ...state, notices: state.notices.filter((n) => n.id !== event.id) };
  }
}

function sayPhase(phase: Phase, { run }: State): string {
  const at = `at step ${run.step} of ${run.total}`;
  const texts: Partial<Record<Phase, string>> = {
    compiling: 'Preparing the GPU programs.',
    paused: `Paused ${at}.`,
    finished: 'Training is finished.',
    stopped: `Stopped ${at}. The adapter is kept.`,
    failed: `The run ended with an error ${at}.`,
  };
  return texts[phase] ?? '';
}
