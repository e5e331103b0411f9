// Rows that were left out: where, why, and how they begin.
import type { BadRow } from '../../worker/protocol/api.ts';
import { whole } from '../shared/format.ts';

export function BadRows({ bad, total }: { bad: readonly BadRow[]; total: number }) {
  return (
    <details open className="rounded-xl border border-line">
      <summary className="px-4 py-3 font-medium">
        {whole(total)} {total === 1 ? 'row was' : 'rows were'} left out
      </summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard */}
      <section className="max-h-80 overflow-auto px-4 pb-3" aria-label="Rows left out" tabIndex={0}>
        <table className="table min-w-[30rem]" data-testid="bad-rows">
          <thead>
            <tr>
              <th scope="col">Line</th>
              <th scope="col">Reason</th>
              <th scope="col">Row</th>
            </tr>
          </thead>
          <tbody>
            {bad.map((row) => (
              <tr key={`${row.file}:${row.line}`}>
                <td className="whitespace-nowrap tabular-nums">
                  {row.line}
                  <span className="block text-muted">{row.file}</span>
                </td>
                <td>{row.reason}</td>
                <td>
                  <code className="font-mono text-xs break-all">{row.raw.slice(0, 200)}</code>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
        {total > bad.length && <p className="hint pt-2">… and {whole(total - bad.length)} more.</p>}
      </section>
    </details>
  );
}
