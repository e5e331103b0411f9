// Stages that follow each other, as a strip: ① → ② → ③, each with its progress in a bar and in
// words.
import { CheckIcon } from './icons.tsx';

export interface StageView {
  name: string;
  /** `out`: left out, or ended before it was done. */
  state: 'before' | 'now' | 'done' | 'out';
  /** Share done. */
  share: number;
  note: string;
}

const words = { before: 'to come', now: 'under way', done: 'done', out: 'skipped' };
const looks = {
  before: 'border-line text-muted',
  now: 'border-accent bg-accent-soft',
  done: 'border-line',
  out: 'border-dashed border-line text-muted',
};

export function Stages({
  label,
  stages,
  testId,
}: {
  label: string;
  stages: readonly StageView[];
  testId: string;
}) {
  return (
    <ol className="grid grid-cols-2 gap-2 lg:grid-cols-4" aria-label={label} data-testid={testId}>
      {stages.map(({ name, state, share, note }, i) => (
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
            <span
              className="block h-full bg-accent transition-[width]"
              style={{ width: `${100 * share}%` }}
            />
          </span>
        </li>
      ))}
    </ol>
  );
}
