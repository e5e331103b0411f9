// Rows that are typed or pasted, as a dataset of their own.
import { useId, useState } from 'react';
import { useActions } from '../context.ts';
import { Button } from '../shared/controls.tsx';

/** What pasted text can be, with the ending that a file of it would have. */
const kinds = [
  { ending: 'jsonl', label: 'JSON: one row per line, or a list' },
  { ending: 'csv', label: 'Table with a header line' },
  { ending: 'txt', label: 'Plain text' },
] as const;
type Ending = (typeof kinds)[number]['ending'];

const guess = (text: string): Ending => {
  if (/^\s*[[{]/.test(text)) return 'jsonl';
  return /^\s*[^\n.]*[,;\t|][^\n]*\n\s*\S/.test(text) ? 'csv' : 'txt';
};

export function PasteRows({ disabled }: { disabled: boolean }) {
  const [text, setText] = useState('');
  const [chosen, setChosen] = useState<Ending | null>(null);
  const { chooseData } = useActions();
  const id = useId();
  const ending = chosen ?? guess(text);
  return (
    <details data-testid="paste">
      <summary className="font-medium">Paste rows</summary>
      <form
        className="mt-3 flex flex-col gap-3"
        onSubmit={(e) => {
          e.preventDefault();
          void chooseData([new File([text], `pasted.${ending}`)]);
        }}
      >
        <label htmlFor={`${id}-text`} className="font-medium">
          Rows
        </label>
        <textarea
          id={`${id}-text`}
          className="input min-h-32 font-mono text-sm"
          value={text}
          spellCheck={false}
          onChange={(e) => setText(e.target.value)}
        />
        <div className="flex flex-wrap items-end gap-4">
          <div className="flex min-w-40 flex-col gap-1">
            <label htmlFor={`${id}-kind`} className="font-medium">
              Format
            </label>
            <select
              id={`${id}-kind`}
              className="input"
              value={ending}
              onChange={(e) => setChosen(e.target.value as Ending)}
            >
              {kinds.map((kind) => (
                <option key={kind.ending} value={kind.ending}>
                  {kind.label}
                </option>
              ))}
            </select>
          </div>
          <Button type="submit" isDisabled={disabled || text.trim() === ''}>
            Read the rows
          </Button>
        </div>
      </form>
    </details>
  );
}
