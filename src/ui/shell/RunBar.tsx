// The run, on every part of the page: phase, step, speed, time left, pause and stop.
import { isOpen, type RunState } from '../../state/run.ts';
import type { Progress } from '../../state/state.ts';
import type { Phase } from '../../worker/protocol/api.ts';
import { pauseRun } from '../commands/pause-run.ts';
import { stopRun } from '../commands/stop-run.ts';
import { useApp } from '../context.ts';
import { CommandButton } from '../shared/CommandButton.tsx';
import { duration, left, loss, whole } from '../shared/format.ts';
import { PauseIcon, PlayIcon, StopIcon } from '../shared/icons.tsx';

const names: Partial<Record<Phase, string>> = {
  loading: 'Preparing',
  compiling: 'Compiling',
  searching: 'Searching',
  review: 'Review',
  training: 'Training',
  evaluating: 'Validating',
  paused: 'Paused',
};

/** "12 of 160 · 830 tokens/s · 2 min left", as far as it is known; of a validation its rows. */
export function runLine(run: RunState, progress: Progress | null = null): string {
  const parts = [];
  if (run.phase === 'evaluating' && progress)
    return `${whole(progress.done)} of ${whole(progress.total)} rows after step ${run.step}${left(progress.secondsLeft)}`;
  const searching = run.stage === 'search';
  const [step, total, value] = searching
    ? [run.searchStep, run.searchTotal, run.lowerLoss]
    : [run.step, run.total, run.loss];
  if (run.phase === 'review') return 'The allocation is ready.';
  if (total > 0) parts.push(`step ${step} of ${total}`);
  if (value !== null) parts.push(`loss ${loss(value)}`);
  if (run.tokensPerSecond !== null) parts.push(`${whole(run.tokensPerSecond)} tokens/s`);
  if (run.secondsLeft !== null && run.phase !== 'paused')
    parts.push(`${duration(run.secondsLeft)} left`);
  return parts.join(' · ');
}

export function RunBar() {
  const run = useApp((s) => s.run);
  const progress = useApp((s) => s.progress);
  if (!isOpen(run.phase)) return null;
  const [done, total] =
    run.stage === 'search' ? [run.searchStep, run.searchTotal] : [run.step, run.total];
  const share = total > 0 ? done / total : 0;
  return (
    <aside
      aria-label="Current run"
      className="fixed inset-x-0 bottom-0 z-20 border-t border-line bg-card/95 backdrop-blur"
      data-testid="run-bar"
    >
      <div className="h-1 bg-sunk">
        <div className="h-full bg-accent transition-[width]" style={{ width: `${100 * share}%` }} />
      </div>
      <div className="mx-auto flex max-w-[76rem] flex-wrap items-center gap-x-4 gap-y-2 px-4 py-3 sm:px-6">
        <p className="min-w-0 grow">
          <span className="font-semibold" data-testid="phase">
            {names[run.phase]}
          </span>
          <span className="ml-2 text-sm text-muted tabular-nums">{runLine(run, progress)}</span>
        </p>
        {run.phase === 'review' ? (
          <a className="btn btn-primary" href="#review-title">
            Go to the review
          </a>
        ) : (
          <div className="flex gap-2">
            <CommandButton
              command={pauseRun}
              look={run.phase === 'paused' ? 'primary' : ''}
              icon={run.phase === 'paused' ? <PlayIcon /> : <PauseIcon />}
            />
            <CommandButton command={stopRun} icon={<StopIcon />} />
          </div>
        )}
      </div>
    </aside>
  );
}
