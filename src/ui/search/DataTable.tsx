// A heatmap's figures as a table, a row per layer.
import { useState } from 'react';
import type { CellLayout } from './grid.ts';

export interface DataTableProps {
  layout: CellLayout;
  caption: string;
  /** What a site's cell says. */
  cell(site: number): string;
}

export function DataTable(props: DataTableProps) {
  const [open, setOpen] = useState(false);
  return (
    <details className="mt-2 text-sm" onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary className="w-fit py-0.5 text-muted">As a table</summary>
      {open && <OpenTable {...props} />}
    </details>
  );
}

function OpenTable({ layout, caption, cell }: DataTableProps) {
  const { rows, columns, site } = layout;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
    <section className="max-h-80 overflow-auto" aria-label={caption} tabIndex={0}>
      <table className="table tabular-nums whitespace-nowrap">
        <caption className="sr-only">{caption}</caption>
        <thead>
          <tr>
            <th scope="col">Layer</th>
            {rows.map((target) => (
              <th key={target} scope="col">
                {target}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {columns.map((layer, column) => (
            <tr key={layer}>
              <th scope="row">{layer}</th>
              {rows.map((target, row) => {
                const s = site[row * columns.length + column];
                return <td key={target}>{s < 0 ? '' : cell(s)}</td>;
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
