// The chart's twin for readers that cannot see it: the same figures as a table, thinned to some
// forty rows.
import { useState } from 'react';
import type { SearchSettings } from '../../settings/run-config.ts';
import type { Series } from '../../state/series.ts';
import { useApp, useSeries } from '../context.ts';
import { loss, whole } from '../shared/format.ts';

const rowsAtMost = 40;

type Stage = 'search' | 'train';

export function SeriesTable({ stage }: { stage: Stage }) {
  const [open, setOpen] = useState(false);
  return (
    <details className="mt-2 text-sm" onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary className="w-fit text-muted">As a table</summary>
      {open && <Rows stage={stage} />}
    </details>
  );
}

function Rows({ stage }: { stage: Stage }) {
  const series = useSeries();
  const { step, loss: losses, lr, gradNorm, seconds } = series.steps(stage);
  const search = useApp((s) => s.run.search?.config.search ?? false);
  const other =
    stage === 'train'
      ? new Map(series.validation.map((p) => [p.step, p.loss]))
      : upperLosses(series, search);
  const every = Math.max(1, Math.ceil(step.length / rowsAtMost));
  const shown = Array.from(step.keys()).filter(
    (i) =>
      i === 0 ||
      i === step.length - 1 ||
      step[i] % every === 0 ||
      (stage === 'train' && other.has(step[i])),
  );
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
    <section className="max-h-80 overflow-auto" aria-label="Metrics by step" tabIndex={0}>
      <table className="table min-w-[32rem] tabular-nums">
        <thead>
          <tr>
            {[
              stage === 'train' ? 'Step' : 'Lower update',
              'Loss',
              stage === 'train' ? 'Validation loss' : 'Upper loss',
              'Learning rate',
              'Gradient norm',
              'Seconds',
            ].map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map((i) => (
            <tr key={step[i]}>
              <th scope="row">{whole(step[i])}</th>
              <td>{loss(losses[i])}</td>
              <td>{other.has(step[i]) ? loss(other.get(step[i])!) : ''}</td>
              <td>{lr[i].toPrecision(3)}</td>
              <td>{gradNorm[i].toPrecision(3)}</td>
              <td>{seconds[i].toFixed(1)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** The upper loss of the last pair of each lower update. */
function upperLosses(series: Series, search: SearchSettings | false): Map<number, number> {
  if (!search) return new Map();
  const accumulate = search.batch / search.microBatch;
  const found = new Map<number, number>();
  series.upper.step.forEach((step, i) =>
    found.set((step + search.lowerOnlySteps) / accumulate, series.upper.loss[i]),
  );
  return found;
}
