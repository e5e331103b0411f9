// Held-out rows, which training never saw: prompt, expected, base and tuned answers, and how many
// are exact.
import type { HeldOutReport } from '../../worker/protocol/api.ts';
import { checkHeldOut } from '../commands/check-held-out.ts';
import { stopAnswer } from '../commands/stop-answer.ts';
import { useApp } from '../context.ts';
import { CommandButton } from '../shared/CommandButton.tsx';
import { Progress } from '../shared/controls.tsx';
import { percent, whole } from '../shared/format.ts';
import { CheckIcon, StopIcon } from '../shared/icons.tsx';

export function HeldOut() {
  const { busy, base, tuned } = useApp((s) => s.heldOut);
  const own = useApp((s) => s.data.report?.heldOut ?? null);
  const opened = useApp((s) => s.adapter);
  const rows = useApp((s) => s.data.report?.examples ?? 0);
  const trained = useApp((s) => s.run.report?.validationRows ?? 0);
  const set = opened ? (rows >= 2 && opened.validation !== 0 ? 1 : 0) : trained;
  const progress = useApp((s) => s.progress);
  if (own === null && set === 0) return null;
  return (
    <div className="border-t border-line pt-6">
      <div className="mb-4 flex flex-wrap items-start justify-between gap-3">
        <div className="max-w-prose">
          <h3 className="font-semibold">Before and after, on rows that training never saw</h3>
          <p className="hint">
            {own === null
              ? 'Rows of the validation split, at most 128.'
              : '128 of the held-out rows that come with the sample data.'}{' '}
            Answers are greedy; exact means identical to the expected text.
          </p>
        </div>
        {busy ? (
          <CommandButton command={stopAnswer} icon={<StopIcon />} />
        ) : (
          <CommandButton command={checkHeldOut} icon={<CheckIcon />} />
        )}
      </div>
      {busy && (
        <Progress
          label={`The ${busy} model ${progress?.task === 'choices' ? 'scores the choices' : 'answers'}`}
          done={progress?.done}
          total={progress?.total}
          text={progress ? `${progress.done} of ${progress.total}` : ''}
        />
      )}
      {base && tuned && !busy && <Table base={base} tuned={tuned} />}
    </div>
  );
}

function Table({ base, tuned }: { base: HeldOutReport; tuned: HeldOutReport }) {
  return (
    <div className="flex flex-col gap-4">
      <dl className="grid max-w-md grid-cols-2 gap-3" data-testid="exact">
        {[base, tuned].map((r) => (
          <Share
            key={r.which}
            name={`${nameOf(r)}, exact`}
            right={r.exact}
            of={r.rows}
            data={{ 'data-exact': r.exact, 'data-which': r.which }}
          />
        ))}
      </dl>
      {base.choices && tuned.choices && (
        <dl className="grid max-w-md grid-cols-2 gap-3" data-testid="choices">
          {[base, tuned].map((r) => (
            <Share
              key={r.which}
              name={`${nameOf(r)}, likeliest choice`}
              right={r.choices!.right}
              of={r.choices!.questions}
            />
          ))}
        </dl>
      )}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard */}
      <section className="overflow-x-auto" aria-label="Held-out rows" tabIndex={0}>
        <table className="table min-w-[44rem]" data-testid="held-out">
          <thead>
            <tr>
              {['Prompt', 'Expected', 'Base', 'Tuned'].map((name) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {tuned.shown.map((row, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: rows may be alike, and their order is fixed
              <tr key={i}>
                <th scope="row" className="max-w-72 !font-normal !text-ink">
                  {row.prompt}
                </th>
                <td>{row.expected}</td>
                <Answer row={base.shown[i]} />
                <Answer row={row} />
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </div>
  );
}

const nameOf = ({ which, step }: HeldOutReport) =>
  which === 'base' ? 'Base' : step === null ? 'Tuned' : `Tuned, step ${step}`;

function Share({
  name,
  right,
  of,
  data,
}: {
  name: string;
  right: number;
  of: number;
  data?: Record<string, string | number>;
}) {
  return (
    <div className="rounded-xl bg-sunk px-4 py-3" data-rows={of} {...data}>
      <dt className="text-sm text-muted">{name}</dt>
      <dd className="text-lg font-semibold tabular-nums">{percent(right, of)}</dd>
      <dd className="text-sm text-muted">
        {whole(right)} of {whole(of)}
      </dd>
    </div>
  );
}

/** An answer, and the choice that was likeliest where the row has choices. */
function Answer({ row: { answer, exact, picked } }: { row: HeldOutReport['shown'][number] }) {
  return (
    <td className={exact ? '' : 'text-muted'}>
      <Marked
        text={answer === '' ? '(empty)' : answer}
        good={exact}
        words={exact ? ' (exact)' : ' (not exact)'}
      />
      {picked && (
        <p className="mt-1 text-sm">
          <Marked
            text={`Picks: ${picked.text}`}
            good={picked.right}
            words={picked.right ? ' (right)' : ' (wrong)'}
          />
        </p>
      )}
    </td>
  );
}

function Marked({ text, good, words }: { text: string; good: boolean; words: string }) {
  return (
    <span className="flex gap-1.5">
      {good && (
        <span className="mt-0.5 text-accent">
          <CheckIcon />
        </span>
      )}
      <span>
        {text}
        <span className="sr-only">{words}</span>
      </span>
    </span>
  );
}
