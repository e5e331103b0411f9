// What was found in the files: format, rows, bad rows, checks, previews.
import { useState } from 'react';
import { isOpen } from '../../state/run.ts';
import type { DatasetReport, RowFormat } from '../../worker/protocol/api.ts';
import { useApp } from '../context.ts';
import { Button } from '../shared/controls.tsx';
import { short, whole } from '../shared/format.ts';
import { Stat, Stats } from '../shared/Section.tsx';
import { BadRows } from './BadRows.tsx';
import { ColumnsForm } from './ColumnsForm.tsx';
import { Files } from './Files.tsx';
import { Preflight } from './Preflight.tsx';
import { RowPreviews } from './RowPreviews.tsx';

export function DatasetSummary({ report: d }: { report: DatasetReport }) {
  // the form closes when the data is read anew
  const [choosingFor, setChoosingFor] = useState<DatasetReport | null>(null);
  const choosing = choosingFor === d;
  const busy = useApp((s) => isOpen(s.run.phase) || s.data.status === 'reading');
  const note = d.badRows === 0 ? 'all can be used' : `${whole(d.examples)} can be used`;
  return (
    <div className="flex flex-col gap-6" data-testid="data-facts">
      <div>
        <h3 className="font-semibold break-words">{d.files.join(', ')}</h3>
        <div className="mb-3 flex flex-wrap items-center gap-x-4 gap-y-2">
          <p className="text-muted" data-testid="format">
            Format: {formatsOf(d)}
          </p>
          {d.found && (
            <Button
              look="small"
              aria-expanded={choosing}
              isDisabled={busy}
              onPress={() => setChoosingFor(choosing ? null : d)}
            >
              Columns
            </Button>
          )}
        </div>
        {d.found && choosing && (
          <div className="mb-4">
            <ColumnsForm
              found={d.found}
              isKnown
              format={Object.keys(d.formats)[0] as RowFormat}
              disabled={busy}
            />
          </div>
        )}
        <Stats>
          <Stat
            label="Rows"
            value={whole(d.rows)}
            note={d.limited ? `${note}; later rows are not read` : note}
          />
          <Stat
            label="Bad rows"
            value={whole(d.badRows)}
            note="left out"
            tone={d.badRows > 0 ? 'warn' : undefined}
          />
          <Stat label="Tokens" value={short(d.tokens)} note={`longest row: ${whole(d.longest)}`} />
        </Stats>
      </div>
      {d.parts.length > 1 && <Files parts={d.parts} disabled={busy} />}
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
  return found.length === 1
    ? found[0][0]
    : found.map(([name, rows]) => `${name} (${whole(rows)} rows)`).join(', ');
}
