// Where a run with a search is: ① Search → ② Review → ③ Train → ④ Evaluate, each with its progress and time.
import { useApp } from '../context.ts';
import { CheckIcon } from '../shared/icons.tsx';
import { stagesOf } from './stages.ts';

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
