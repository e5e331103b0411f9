// The files of a dataset: what was found in each, what it is used for, and how often an epoch its
// rows come.
import { type FileUse, fileUse, weightProblem } from '../../state/files.ts';
import type { DataFileReport } from '../../worker/protocol/api.ts';
import { useActions, useApp } from '../context.ts';
import { Choice, Field } from '../shared/controls.tsx';
import { short, whole } from '../shared/format.ts';

const uses = [
  { value: 'training', label: 'Training' },
  { value: 'validation', label: 'Validation' },
] as const;

export function Files({
  parts,
  disabled,
}: {
  parts: readonly DataFileReport[];
  disabled: boolean;
}) {
  const files = useApp((s) => s.form.files);
  const { setFiles } = useActions();
  const trained = new Set(
    parts
      .filter((p) => p.examples > 0 && fileUse(files, p.name).use === 'training')
      .map((p) => p.name),
  );
  const anyHeld = parts.some((p) => fileUse(files, p.name).use === 'validation');
  return (
    <section aria-labelledby="files-title" data-testid="files">
      <h3 id="files-title" className="font-semibold">
        Files
      </h3>
      <p className="hint mb-2 max-w-prose">
        {anyHeld
          ? 'Validation files are never trained on; their rows replace the validation share.'
          : 'A share of all rows is held out for validation, unless you choose files for it. A weight is how many times an epoch uses the rows of a file.'}
      </p>
      <ul className="divide-y divide-line border-y border-line">
        {parts.map((part) => (
          <FileLine
            key={part.name}
            part={part}
            use={fileUse(files, part.name)}
            isLast={trained.size === 1 && trained.has(part.name)}
            disabled={disabled}
            onChange={(change) =>
              void setFiles({ ...files, [part.name]: { ...fileUse(files, part.name), ...change } })
            }
          />
        ))}
      </ul>
    </section>
  );
}

/** @param isLast file that is trained on: all others are held out, or have no row to use */
function FileLine(props: {
  part: DataFileReport;
  use: FileUse;
  isLast: boolean;
  disabled: boolean;
  onChange(change: Partial<FileUse>): void;
}) {
  const { part, use, isLast, disabled, onChange } = props;
  const { name, rows, badRows, examples, tokens, formats } = part;
  const bad = badRows > 0 ? `, ${whole(badRows)} left out` : '';
  return (
    <li
      aria-label={name}
      className="grid items-start gap-x-6 gap-y-2 py-3 sm:grid-cols-[minmax(0,1fr)_auto_9rem]"
    >
      <div className="min-w-0">
        <p className="font-medium break-words">{name}</p>
        <p className="hint">
          {formats.join(', ') || 'plain text'} · {whole(rows)} rows{bad} · {short(tokens)} tokens
        </p>
      </div>
      {examples > 0 && (
        <Choice
          label={`Use of ${name}`}
          hideLabel
          value={use.use}
          options={uses}
          disabled={disabled || isLast}
          help={isLast ? 'The only training file' : undefined}
          onChange={(next) => onChange({ use: next })}
        />
      )}
      {examples > 0 && use.use === 'training' && (
        <Field
          label="Weight"
          value={use.weight}
          error={weightProblem(use.weight) ?? undefined}
          disabled={disabled}
          onChange={(weight) => onChange({ weight })}
        />
      )}
    </li>
  );
}
