// What to check before training: each check is fine, a warning, or an error that blocks the start.
import { useEffect, useState } from 'react';
import { formProblems } from '../../state/form.ts';
import type { DatasetReport, SplitReport } from '../../worker/protocol/api.ts';
import { useActions, useApp } from '../context.ts';
import { percent, short, whole } from '../shared/format.ts';
import { CheckIcon, CloseIcon, WarningIcon } from '../shared/icons.tsx';

type Verdict = 'ok' | 'warning' | 'error';

interface Check {
  name: string;
  value: string;
  verdict: Verdict;
  note: string;
}

const marks: Record<Verdict, { word: string; icon: React.ReactNode; tone: string }> = {
  ok: { word: 'OK', icon: <CheckIcon />, tone: 'text-muted' },
  warning: { word: 'Check this', icon: <WarningIcon />, tone: 'text-warn' },
  error: { word: 'Must be fixed', icon: <CloseIcon />, tone: 'text-danger' },
};

/** What the form's validation and weights of files come to on this data; null until it is known. */
function useSplit(report: DatasetReport): SplitReport | null {
  const validation = useApp((s) =>
    formProblems(s.form)['data.validation'] || formProblems(s.form).files
      ? null
      : s.form['data.validation'],
  );
  const files = useApp((s) => s.form.files);
  const seed = useApp((s) => (formProblems(s.form).seed ? null : Number(s.form.seed)));
  const { splitData } = useActions();
  const [split, setSplit] = useState<{ of: DatasetReport; found: SplitReport } | null>(null);
  useEffect(() => {
    if (validation === null || seed === null) return;
    let isCurrent = true;
    void splitData({ validation, files }, seed).then((found) => {
      if (isCurrent && found) setSplit({ of: report, found });
    });
    return () => {
      isCurrent = false;
    };
  }, [report, validation, files, seed, splitData]);
  return split?.of === report ? split.found : null;
}

function checksOf({ checks, ...d }: DatasetReport, split: SplitReport | null): Check[] {
  const warnIf = (bad: boolean): Verdict => (bad ? 'warning' : 'ok');
  const found: Check[] = [
    {
      name: 'Trained tokens',
      value: percent(d.trainedTokens, d.tokens),
      verdict: d.trainedTokens === 0 ? 'error' : 'ok',
      note:
        d.trainedTokens === 0
          ? 'No token carries loss: there is nothing to learn.'
          : `${short(d.trainedTokens)} of ${short(d.tokens)}`,
    },
    {
      name: 'Truncated',
      value: percent(d.truncated, d.examples),
      verdict: warnIf(d.truncated > 0),
      note: `${whole(d.truncated)} rows; longest row: ${whole(d.longest)} tokens`,
    },
    {
      name: 'Empty',
      value: whole(checks.empty),
      verdict: warnIf(checks.empty > 0),
      note: 'rows with an empty answer or text, left out',
    },
    {
      name: 'Duplicates',
      value: whole(checks.duplicates),
      verdict: warnIf(checks.duplicates > 0),
      note: 'rows with the same tokens as an earlier row',
    },
  ];
  if (checks.ends !== null) {
    const note =
      checks.ends === 0
        ? 'no end token is trained: the model may not learn to stop'
        : 'rows that train the token that ends an answer';
    found.splice(1, 0, {
      name: 'End token',
      value: percent(checks.ends, d.examples),
      verdict: warnIf(checks.ends === 0),
      note,
    });
  }
  if (split) {
    const { overlap, validation } = split;
    found.push({
      name: 'Overlap',
      value: whole(overlap),
      verdict: warnIf(overlap > 0),
      note:
        validation === 0
          ? 'no rows are held out for validation'
          : `of ${whole(validation)} validation rows are also trained on`,
    });
  }
  return found;
}

export function Preflight({ report }: { report: DatasetReport }) {
  const split = useSplit(report);
  return (
    <section
      aria-labelledby="preflight-title"
      data-testid="preflight"
      className="rounded-xl border border-line p-4"
    >
      <div className="mb-3 flex flex-wrap items-baseline justify-between gap-x-4">
        <h3 id="preflight-title" className="font-semibold">
          Checks before training
        </h3>
        {split && (
          <p className="text-sm text-muted" data-testid="epoch">
            {short(split.tokens)} tokens per epoch, in {whole(split.train)} rows
          </p>
        )}
      </div>
      <ul className="grid gap-x-6 gap-y-3 sm:grid-cols-2 lg:grid-cols-3">
        {checksOf(report, split).map(({ name, value, verdict, note }) => (
          <li key={name} data-verdict={verdict} className="min-w-0">
            <p className="flex items-baseline justify-between gap-3">
              <span className="font-medium">{name}</span>
              <span className={`flex items-center gap-1 text-sm ${marks[verdict].tone}`}>
                {marks[verdict].icon}
                {marks[verdict].word}
              </span>
            </p>
            <p className="hint">
              <span className="font-semibold text-ink tabular-nums">{value}</span> · {note}
            </p>
          </li>
        ))}
      </ul>
      <Lengths bins={report.checks.lengths} />
    </section>
  );
}

/** Rows by their length, as a table whose cells are bars too. */
function Lengths({ bins }: { bins: DatasetReport['checks']['lengths'] }) {
  const most = bins.reduce((n, { rows }) => Math.max(n, rows), 1);
  const step = bins.length > 1 ? bins[1].upTo - bins[0].upTo : bins[0]?.upTo;
  return (
    <details className="mt-4">
      <summary className="font-medium">Row lengths</summary>
      <table className="mt-2 w-full max-w-xl text-sm" data-testid="lengths">
        <thead>
          <tr className="text-left text-muted">
            <th scope="col" className="pr-4">
              Tokens
            </th>
            <th scope="col">Rows</th>
          </tr>
        </thead>
        <tbody>
          {bins.map(({ upTo, rows }) => (
            <tr key={upTo}>
              <th scope="row" className="pr-4 font-normal whitespace-nowrap tabular-nums">
                {whole(upTo - step + 1)}–{whole(upTo)}
              </th>
              <td className="w-full">
                <span className="flex items-center gap-2 tabular-nums">
                  <span
                    aria-hidden="true"
                    className="h-3 rounded-sm bg-accent"
                    style={{ width: `${(85 * rows) / most}%` }}
                  />
                  {whole(rows)}
                </span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
