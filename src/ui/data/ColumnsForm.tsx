// A table whose headers say nothing to us: which column is the prompt, which the answer.
import { useId, useState } from 'react';
import type { ColumnsWanted } from '../../worker/api.ts';
import { useActions } from '../context.ts';
import { Button } from '../shared/controls.tsx';

export function ColumnsForm({ wanted }: { wanted: ColumnsWanted }) {
  const { columns, file } = wanted;
  const [prompt, setPrompt] = useState(columns[0] ?? '');
  const [completion, setCompletion] = useState(columns[1] ?? '');
  const { rereadData } = useActions();
  const same = prompt === completion;
  return (
    <form
      className="rounded-xl border border-accent bg-accent-soft p-5"
      data-testid="columns"
      onSubmit={(e) => {
        e.preventDefault();
        if (!same) void rereadData({ columns: { prompt, completion } });
      }}
    >
      <h3 className="font-semibold break-words">Which columns of {file}?</h3>
      <p className="hint mb-4">None of its names is one that a known format has. Choose which hold the prompt and the answer.</p>
      <div className="flex flex-wrap items-end gap-4">
        <ColumnSelect label="Prompt" value={prompt} columns={columns} onChange={setPrompt} />
        <ColumnSelect label="Completion" value={completion} columns={columns} onChange={setCompletion} />
        <Button type="submit" look="primary" isDisabled={same}>
          Read the data
        </Button>
      </div>
      {same && (
        <p className="mt-3 text-sm text-danger">
          {columns.length < 2 ? 'The table has only one column.' : 'Choose two different columns.'}
        </p>
      )}
    </form>
  );
}

function ColumnSelect(props: { label: string; value: string; columns: readonly string[]; onChange(value: string): void }) {
  const id = useId();
  return (
    <div className="flex min-w-40 flex-col gap-1">
      <label htmlFor={id} className="font-medium">
        {props.label}
      </label>
      <select id={id} className="input" value={props.value} onChange={(e) => props.onChange(e.target.value)}>
        {props.columns.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </div>
  );
}
