// Where a run with a search is: ① Search → ② Review → ③ Train → ④ Evaluate, each with its progress and time.
import type { RunState } from '../../state/run.ts';
import { useApp } from '../context.ts';
import { duration } from '../shared/format.ts';
import { CheckIcon } from '../shared/icons.tsx';

export interface StageView {
  name: string;
  state: 'before' | 'now' | 'done' | 'out';
  /** Share done. */
  share: number;
  note: string;
}

const ended = ['finished', 'stopped', 'failed'];

/** The four stages of a run with a search; `checking`: share of the last validation that is done, null while there is none. */
export function stagesOf(run: RunState, checking: number | null): StageView[] {
  const over = ended.includes(run.phase);
  const trains = run.search?.config.train !== false;
  const evaluating = run.phase === 'evaluating' && run.step === run.total;
  const left = run.secondsLeft === null || run.phase === 'paused' ? '' : `about ${duration(run.secondsLeft)} left`;
  const percent = (share: number) => `${Math.floor(100 * share)} %`;
  const searched = run.searchTotal > 0 ? run.searchStep / run.searchTotal : 0;
  const trained = run.total > 0 ? run.step / run.total : 0;
  const search: StageView =
    run.stage === 'search'
      ? { name: 'Search', state: over ? 'out' : 'now', share: searched, note: [percent(searched), left].filter(Boolean).join(', ') }
      : { name: 'Search', state: 'done', share: 1, note: searched < 1 ? `stopped at ${percent(searched)}` : duration(run.searchSeconds) };
  const review: StageView = {
    name: 'Review',
    state:
      run.stage === 'review' && !over
        ? 'now'
        : run.stage === 'train' || (run.stage === 'review' && !trains)
          ? 'done'
          : over
            ? 'out'
            : 'before',
    share: run.stage === 'train' ? 1 : 0,
    note: run.stage === 'review' && !over ? 'your turn' : '',
  };
  const config = run.search?.config.train;
  const train: StageView =
    run.stage !== 'train'
      ? {
          name: 'Train',
          state: over || !trains ? 'out' : 'before',
          share: 0,
          note: !trains ? 'not asked for' : config && config.epochs === null ? `${config.steps} steps` : '',
        }
      : evaluating || (over && trained === 1)
        ? { name: 'Train', state: 'done', share: 1, note: duration(run.seconds) }
        : {
            name: 'Train',
            state: over ? 'out' : 'now',
            share: trained,
            note: [percent(trained), over ? '' : left].filter(Boolean).join(', '),
          };
  const none = run.report !== null && run.report.validationRows === 0;
  const evaluate: StageView = {
    name: 'Evaluate',
    state: evaluating
      ? 'now'
      : run.phase === 'finished' && run.stage === 'train'
        ? none
          ? 'out'
          : 'done'
        : over || !trains
          ? 'out'
          : 'before',
    share: evaluating ? (checking ?? 0) : run.phase === 'finished' ? 1 : 0,
    note: none ? 'no rows set aside' : evaluating && checking !== null ? percent(checking) : '',
  };
  return [search, review, train, evaluate];
}

const words = { before: 'to come', now: 'under way', done: 'done', out: 'left out' };
const looks = {
  before: 'border-line text-muted',
  now: 'border-accent bg-accent-soft',
  done: 'border-line',
  out: 'border-dashed border-line text-muted',
};

export function StageStrip() {
  const run = useApp((s) => s.run);
  const progress = useApp((s) => s.progress);
  if (!run.search) return null;
  const checking = progress && run.phase === 'evaluating' && progress.total > 0 ? progress.done / progress.total : null;
  return (
    <ol className="grid grid-cols-2 gap-2 lg:grid-cols-4" aria-label="Stages of the run" data-testid="stages">
      {stagesOf(run, checking).map(({ name, state, share, note }, i) => (
        <li
          key={name}
          className={`relative min-w-0 overflow-hidden rounded-lg border px-3 pt-2 pb-2.5 ${looks[state]}`}
          aria-current={state === 'now' ? 'step' : undefined}
          data-state={state}
        >
          <span className="flex items-center gap-2 font-medium">
            <span
              aria-hidden="true"
              className={`grid size-5 shrink-0 place-items-center rounded-full text-xs tabular-nums ${state === 'now' ? 'bg-accent text-on-accent' : 'bg-sunk text-muted'}`}
            >
              {state === 'done' ? (
                <span className="scale-70">
                  <CheckIcon />
                </span>
              ) : (
                i + 1
              )}
            </span>
            {name}
            <span className="sr-only">({words[state]})</span>
          </span>
          <span className="block min-h-5 text-sm text-muted tabular-nums">{note}</span>
          <span className="absolute inset-x-0 bottom-0 h-1 bg-sunk" aria-hidden="true">
            <span className="block h-full bg-accent transition-[width]" style={{ width: `${100 * share}%` }} />
          </span>
        </li>
      ))}
    </ol>
  );
}
