// The four stages of a run with a search, as the strip shows them.
import type { RunState } from '../../state/run.ts';
import { duration } from '../shared/format.ts';
import type { StageView } from '../shared/Stages.tsx';

const percent = (share: number) => `${Math.floor(100 * share)} %`;
const isDone = ({ phase }: RunState) =>
  phase === 'finished' || phase === 'stopped' || phase === 'failed';
const trains = ({ search }: RunState) => search?.config.train !== false;
const share = (done: number, total: number) => (total > 0 ? done / total : 0);
/** The validation after the last step: those in between belong to the training. */
const evaluating = ({ phase, step, total }: RunState) => phase === 'evaluating' && step === total;

/** `checking`: share of the validation under way that is done, null while there is none. */
export const stagesOf = (run: RunState, checking: number | null): StageView[] => [
  { name: 'Search', ...searchView(run) },
  { name: 'Review', ...reviewView(run) },
  { name: 'Train', ...trainView(run) },
  { name: 'Evaluate', ...evaluateView(run, checking) },
];

type View = Omit<StageView, 'name'>;

/** A stage that goes on, or that the run ended in. */
function underWay(run: RunState, done: number): View {
  const timed = run.secondsLeft !== null && run.phase !== 'paused' && !isDone(run);
  const note = timed ? `${percent(done)}, about ${duration(run.secondsLeft!)} left` : percent(done);
  return { state: isDone(run) ? 'out' : 'now', share: done, note };
}

function searchView(run: RunState): View {
  const done = share(run.searchStep, run.searchTotal);
  if (run.stage === 'search') return underWay(run, done);
  return {
    state: 'done',
    share: done,
    note: done < 1 ? `stopped at ${percent(done)}` : duration(run.searchSeconds),
  };
}

function reviewView(run: RunState): View {
  if (run.stage === 'train') return { state: 'done', share: 1, note: '' };
  if (isDone(run)) return { state: run.phase === 'finished' ? 'done' : 'out', share: 0, note: '' };
  return run.stage === 'review'
    ? { state: 'now', share: 0, note: 'your turn' }
    : { state: 'before', share: 0, note: '' };
}

function trainView(run: RunState): View {
  if (run.stage === 'train') {
    const done = share(run.step, run.total);
    const whole = evaluating(run) || (isDone(run) && done === 1);
    return whole ? { state: 'done', share: 1, note: duration(run.seconds) } : underWay(run, done);
  }
  if (!trains(run)) return { state: 'out', share: 0, note: 'skipped' };
  if (isDone(run)) return { state: 'out', share: 0, note: '' };
  const settings = run.search?.config.train;
  return {
    state: 'before',
    share: 0,
    note: settings && settings.epochs === null ? `${settings.steps} steps` : '',
  };
}

function evaluateView(run: RunState, checking: number | null): View {
  const none = run.report?.validationRows === 0;
  if (none) return { state: 'out', share: 0, note: 'no rows held out' };
  if (evaluating(run))
    return { state: 'now', share: checking ?? 0, note: checking === null ? '' : percent(checking) };
  if (run.phase === 'finished' && run.stage === 'train')
    return { state: 'done', share: 1, note: '' };
  return { state: isDone(run) || !trains(run) ? 'out' : 'before', share: 0, note: '' };
}
