// The run as it goes: its stage, what it does now, its figures, the chart, and what each stage has
// to show.

import { lazy, Suspense } from 'react';
import type { RunState } from '../../state/run.ts';
import type { SearchHistory } from '../../state/search-history.ts';
import { taskInWords } from '../../util/task.ts';
import { useApp, useRouting, useSearchHistory } from '../context.ts';
import { Progress } from '../shared/controls.tsx';
import { duration, left, whole } from '../shared/format.ts';
import { LiveStats } from './LiveStats.tsx';
import { LossFigure } from './LossFigure.tsx';
import { StageStrip } from './StageStrip.tsx';

const SearchLive = lazy(() =>
  import('../search/SearchLive.tsx').then((m) => ({ default: m.SearchLive })),
);
const RoutingHeatmap = lazy(() =>
  import('../search/RoutingHeatmap.tsx').then((m) => ({ default: m.RoutingHeatmap })),
);
const ReviewPanel = lazy(() =>
  import('../review/ReviewPanel.tsx').then((m) => ({ default: m.ReviewPanel })),
);

/** "Search 62 %: 171 of 210 sites settled". */
function searchSentence(run: RunState, history: SearchHistory | null): string {
  const { search, searchStep, searchTotal, lowerUpdates } = run;
  const first = search?.config.search.lowerOnlySteps
    ? `Experts warm up: ${whole(lowerUpdates)} lower updates`
    : 'The first search step is under way …';
  if (searchStep === 0) return first;
  const settled = history?.frame()?.totals.settled ?? 0;
  return `Search ${Math.floor((100 * searchStep) / searchTotal)} %: ${whole(settled)} of ${whole(search!.sites.length)} linears settled`;
}

function sentence(run: RunState, history: SearchHistory | null): string {
  const searching = run.stage === 'search';
  const at = searching
    ? `step ${run.searchStep} of ${run.searchTotal} of the search`
    : `step ${run.step} of ${run.total}`;
  switch (run.phase) {
    case 'loading':
      return run.stage === 'train' ? 'Preparing to train …' : 'Preparing the run …';
    case 'compiling':
      return 'Compiling the GPU programs …';
    case 'searching':
      return searchSentence(run, history);
    case 'review':
      return 'The search is done: review its allocation.';
    case 'training':
      return run.step === 0 ? 'The first step is under way …' : `Training: ${at}`;
    case 'evaluating':
      return `Measuring the validation loss after ${at}`;
    case 'paused':
      return searching
        ? `Paused at ${at}. You can ask the base model meanwhile.`
        : `Paused at ${at}. You can ask the model as it is now.`;
    case 'finished':
      return run.stage === 'train'
        ? `Finished: ${whole(run.total)} steps in ${duration(run.seconds)}`
        : 'Finished: search only, no training.';
    case 'stopped':
      return run.stage === 'train'
        ? `Stopped at ${at}. The adapter is kept as it is.`
        : 'Ended after the search, without training.';
    case 'failed':
      return `The run ended with an error at ${at}.${run.step > 0 ? ' The adapter from before the error is kept.' : ''}`;
    default:
      return '';
  }
}

/** How much of what is going on is done. */
function shareOf(run: RunState): { done?: number; total?: number } {
  if (run.stage === 'search')
    return run.searchTotal > 0 ? { done: run.searchStep, total: run.searchTotal } : {};
  if (run.stage === 'review') return { done: 1, total: 1 };
  return run.total > 0 ? { done: run.step, total: run.total } : {};
}

export function Live() {
  const run = useApp((s) => s.run);
  const progress = useApp((s) => s.progress);
  const history = useSearchHistory();
  const counting = progress !== null && (run.phase === 'compiling' || run.phase === 'evaluating');
  const { done, total } = shareOf(run);
  return (
    <div
      className="flex min-w-0 flex-col gap-5"
      data-testid="live"
      data-phase={run.phase}
      data-stage={run.stage}
      data-step={run.step}
      data-search-step={run.searchStep}
    >
      <StageStrip />
      {counting ? (
        <Progress
          label={run.phase === 'evaluating' ? sentence(run, history) : taskInWords[progress.task]}
          done={progress.done}
          total={progress.total}
          text={`${whole(progress.done)} of ${whole(progress.total)} ${progress.unit}${left(progress.secondsLeft)}`}
        />
      ) : (
        run.stage !== 'review' && (
          <Progress
            label={sentence(run, history)}
            done={done}
            total={total}
            text={
              done !== undefined && total !== undefined
                ? `${Math.floor((100 * done) / total)} %`
                : ''
            }
          />
        )
      )}
      {run.stage === 'review' && run.phase !== 'review' && <p>{sentence(run, history)}</p>}
      <Suspense fallback={<div className="h-60" />}>
        {run.phase === 'review' && <ReviewPanel />}
        {run.stage === 'search' && <Forming />}
      </Suspense>
      {run.stage !== 'review' && (
        <>
          <LiveStats />
          <LossFigure />
        </>
      )}
      <Suspense fallback={<div className="h-60" />}>
        {run.stage === 'train' && <RoutingNow />}
      </Suspense>
      {history && run.stage !== 'search' && (
        <details className="rounded-xl border border-line">
          <summary className="px-4 py-3 font-medium">How the allocation changed</summary>
          <div className="px-4 pt-1 pb-5">
            <Suspense fallback={<div className="h-60" />}>
              <Forming />
            </Suspense>
          </div>
        </details>
      )}
    </div>
  );
}

function Forming() {
  const history = useSearchHistory();
  return history && <SearchLive history={history} />;
}

function RoutingNow() {
  const routing = useRouting();
  return routing && routing.batches > 0 ? (
    <RoutingHeatmap routing={routing} version={routing.batches} />
  ) : null;
}
