// The run as the page knows it: its stage and phase, its figures, and what events make of them.
import type { Phase, RunReport, SearchReport } from '../worker/protocol/api.ts';
import type { AppEvent, Stage } from './events.ts';

export interface RunState {
  phase: Phase;
  stage: Stage;
  /** What the search has begun with, and the training. */
  search: SearchReport | null;
  report: RunReport | null;
  /** Upper steps. */
  searchStep: number;
  searchTotal: number;
  /** Of the latest lower update and upper step. */
  lowerLoss: number | null;
  upperLoss: number | null;
  lowerUpdates: number;
  /** Optimizer steps of the training. */
  step: number;
  total: number;
  loss: number | null;
  validation: number | null;
  /** Pace of the stage that goes on. */
  tokensPerSecond: number | null;
  secondsPerStep: number | null;
  secondsLeft: number | null;
  /** Seconds of work so far. */
  searchSeconds: number;
  seconds: number;
}

export const idleRun: RunState = {
  phase: 'idle',
  stage: 'train',
  search: null,
  report: null,
  searchStep: 0,
  searchTotal: 0,
  lowerLoss: null,
  upperLoss: null,
  lowerUpdates: 0,
  step: 0,
  total: 0,
  loss: null,
  validation: null,
  tokensPerSecond: null,
  secondsPerStep: null,
  secondsLeft: null,
  searchSeconds: 0,
  seconds: 0,
};

/** True while a run holds the device: other work waits for a pause, its review or its end. */
export const isGoing = (phase: Phase): boolean =>
  ['loading', 'compiling', 'searching', 'training', 'evaluating'].includes(phase);
/** True while a run has neither ended nor failed. */
export const isOpen = (phase: Phase): boolean =>
  isGoing(phase) || phase === 'paused' || phase === 'review';
/** True while a run has a stage that can be paused or stopped. */
export const hasStages = (phase: Phase): boolean => isOpen(phase) && phase !== 'review';
/** True when the stage under way has begun. */
export const hasBegun = (run: RunState): boolean =>
  (run.stage === 'search' ? run.search : run.report) !== null;
/** True when there is an adapter of this run to ask and to export. */
export const hasAdapter = (run: RunState): boolean =>
  run.step > 0 && ['paused', 'finished', 'stopped', 'failed'].includes(run.phase);

const noPace = { tokensPerSecond: null, secondsPerStep: null, secondsLeft: null };

/** The run after an event; the same object where the event is not about it. */
export function reduceRun(run: RunState, event: AppEvent): RunState {
  switch (event.type) {
    case 'run-asked':
      return { ...idleRun, phase: 'loading', stage: event.stage };
    case 'run-refused':
    case 'model-ready':
    case 'adapter-ready':
      return idleRun;
    case 'phase':
      return { ...run, phase: event.phase, stage: event.phase === 'review' ? 'review' : run.stage };
    case 'search-began':
      return { ...run, stage: 'search', search: event.report, searchTotal: event.report.steps };
    case 'upper': {
      const last = event.series.step.length - 1;
      return {
        ...run,
        searchStep: event.series.step[last],
        upperLoss: finite(event.series.loss[last]),
        searchTotal: event.total,
      };
    }
    case 'proceed-asked':
      return { ...run, ...noPace, phase: 'loading', stage: 'train' };
    case 'proceed-refused':
      return { ...run, phase: 'review', stage: 'review' };
    case 'training-began':
      return { ...run, ...noPace, stage: 'train', report: event.report, total: event.report.steps };
    case 'steps': {
      const last = event.series.step.length - 1;
      if (last < 0) return run;
      const { step, loss, seconds } = event.series;
      if (event.stage === 'search')
        return {
          ...run,
          lowerLoss: loss[last],
          lowerUpdates: step[last],
          searchSeconds: seconds[last],
        };
      return {
        ...run,
        step: step[last],
        loss: loss[last],
        seconds: seconds[last],
        total: event.total,
      };
    }
    case 'validation':
      return { ...run, validation: event.loss };
    case 'speed': {
      const { tokensPerSecond, secondsPerStep, secondsLeft } = event;
      return { ...run, tokensPerSecond, secondsPerStep, secondsLeft };
    }
    default:
      return run;
  }
}

const finite = (v: number): number | null => (Number.isFinite(v) ? v : null);

/** What a new phase is to a listener; '' where it needs no words. */
export function sayPhase(phase: Phase, run: RunState): string {
  const searching = run.stage === 'search';
  const at = searching
    ? `at step ${run.searchStep} of ${run.searchTotal} of the search`
    : `at step ${run.step} of ${run.total}`;
  const texts: Partial<Record<Phase, string>> = {
    compiling: 'Preparing the GPU programs.',
    searching: run.searchStep === 0 ? 'The search has begun.' : '',
    paused: `Paused ${at}.`,
    finished: run.step > 0 ? 'Training is finished.' : 'The run is finished.',
    stopped:
      run.step > 0 ? `Stopped ${at}. The adapter is kept.` : 'The run has ended without training.',
    failed: `The run ended with an error ${at}.`,
  };
  return texts[phase] ?? '';
}
