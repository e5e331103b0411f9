// What was found in the files: format, rows, bad rows, checks, previews.
import type { DatasetReport } from '../../worker/api.ts';
import { short, whole } from '../shared/format.ts';
import { Stat, Stats } from '../shared/Section.tsx';
import { BadRows } from './BadRows.tsx';
import { Preflight } from './Preflight.tsx';
import { RowPreviews } from './RowPreviews.tsx';

export function Found({ report: d }: { report: DatasetReport }) {
  return (
    <div className="flex flex-col gap-6" data-testid="data-facts">
      <div>
        <h3 className="font-semibold break-words">{d.files.join(', ')}</h3>
        <p className="mb-3 text-muted" data-testid="format">
          Format: {formatsOf(d)}
        </p>
        <Stats>
          <Stat label="Rows" value={whole(d.rows)} note={d.badRows === 0 ? 'all can be used' : `${whole(d.examples)} can be used`} />
          <Stat label="Bad rows" value={whole(d.badRows)} note="left out" tone={d.badRows > 0 ? 'warn' : undefined} />
          <Stat label="Tokens" value={short(d.tokens)} note={`longest row: ${whole(d.longest)}`} />
        </Stats>
      </div>
      <Preflight report={d} />
      <RowPreviews key={d.previews[0]?.file} rows={d.previews} />
      {d.badRows > 0 && <BadRows bad={d.bad} total={d.badRows} />}
    </div>
  );
}

/** The formats by name; with their rows where there are several. */
function formatsOf({ formats }: DatasetReport): string {
  const found = Object.entries(formats);
  if (found.length === 0) return 'plain text';
  return found.length === 1 ? found[0][0] : found.map(([name, rows]) => `${name} (${whole(rows)} rows)`).join(', ');
}
