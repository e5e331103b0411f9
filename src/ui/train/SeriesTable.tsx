// The chart's twin for readers that cannot see it: the same figures as a table, thinned to some forty rows.
import { useState } from 'react';
import { useSeries } from '../context.ts';
import { loss, whole } from '../shared/format.ts';

const rowsAtMost = 40;

export function SeriesTable() {
  const [open, setOpen] = useState(false);
  return (
    <details className="mt-2 text-sm" onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary className="w-fit text-muted">The same as a table</summary>
      {open && <Rows />}
    </details>
  );
}

function Rows() {
  const series = useSeries();
  const { step, loss: losses, lr, gradNorm, seconds } = series.steps;
  const validation = new Map(series.validation.map((p) => [p.step, p.loss]));
  const every = Math.max(1, Math.ceil(step.length / rowsAtMost));
  const shown = Array.from(step.keys()).filter((i) => i === 0 || i === step.length - 1 || step[i] % every === 0 || validation.has(step[i]));
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
    <section className="max-h-80 overflow-auto" aria-label="Metrics by step" tabIndex={0}>
      <table className="table min-w-[32rem] tabular-nums">
        <thead>
          <tr>
            {['Step', 'Loss', 'Validation loss', 'Learning rate', 'Gradient norm', 'Seconds'].map((name) => (
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
              <td>{validation.has(step[i]) ? loss(validation.get(step[i])!) : ''}</td>
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
