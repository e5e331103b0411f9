// What the rows of a file are, and which of its columns plays which role.
import { useId, useState } from 'react';
import {
  type Columns,
  formatOfColumns,
  formatRoles,
  type RowFormat,
} from '../../data/dataset/roles.ts';
import type { ColumnsFound } from '../../worker/protocol/api.ts';
import { useActions, useApp } from '../context.ts';
import { Button } from '../shared/controls.tsx';

const labels: Record<string, string> = {
  prompt: 'Prompt',
  completion: 'Completion',
  instruction: 'Instruction',
  input: 'Input',
  output: 'Output',
  messages: 'Messages',
  conversations: 'Conversations',
  question: 'Question',
  choices: 'Choices',
  answer: 'Answer',
  text: 'Text',
  input_ids: 'Token ids',
  labels: 'Labels',
  system: 'System prompt',
};
const formats = Object.keys(formatRoles) as RowFormat[];

type Chosen = Record<string, string | string[]>;

/**
 * Columns named like the roles; needed roles without one get the next column that is free. '' is
 * none.
 */
function firstGuess(format: RowFormat, columns: readonly string[]): Chosen {
  const roles = Object.entries(formatRoles[format]) as [string, boolean][];
  const free = columns.filter((name) => !roles.some(([role]) => role === name));
  return Object.fromEntries(
    roles.map(([role, must]) => {
      const name = columns.includes(role) ? role : must ? (free.shift() ?? '') : '';
      return [role, role === 'choices' ? (name === '' ? [] : [name]) : name];
    }),
  );
}

/** Why the choice is not one yet, or null. */
function problemOf(format: RowFormat, chosen: Chosen): string | null {
  const used: string[] = [];
  for (const [role, must] of Object.entries(formatRoles[format])) {
    if (must && chosen[role].length === 0) return `${labels[role]}: choose a column.`;
    used.push(...[chosen[role]].flat().filter((name) => name !== ''));
  }
  if (chosen.choices?.length > 10) return 'Choose at most 10 columns of choices.';
  // the text that is right, or labels that are the ids
  const isAnswerAChoice = format === 'question–choices–answer' || format === 'pre-tokenised';
  return !isAnswerAChoice && new Set(used).size < used.length ? 'Choose different columns.' : null;
}

/**
 * As run.json has it: an optional role without a column is left out, or null where a column has its
 * name.
 */
const columnsOf = (chosen: Chosen, columns: readonly string[]): Columns =>
  Object.fromEntries(
    Object.entries(chosen)
      .filter(([role, name]) => name !== '' || columns.includes(role))
      .map(([role, name]) => [
        role,
        Array.isArray(name) ? (name.length === 1 ? name[0] : name) : name || null,
      ]),
  ) as unknown as Columns;

/** The other way round. */
const chosenOf = (columns: Columns, there: readonly string[]): Chosen => ({
  ...firstGuess(formatOfColumns(columns), there),
  ...Object.fromEntries(
    Object.entries(columns as Chosen).map(([role, name]) => [
      role,
      role === 'choices' ? [name].flat() : (name ?? ''),
    ]),
  ),
});

export function ColumnsForm(props: {
  found: ColumnsFound;
  isKnown: boolean;
  format?: RowFormat;
  disabled: boolean;
}) {
  const { columns, file } = props.found;
  const before = useApp((s) => s.form['data.columns']);
  const [format, setFormat] = useState<RowFormat>(
    (before && formatOfColumns(before)) ??
      props.format ??
      (columns.length > 1 ? 'prompt–completion' : 'text'),
  );
  const [chosen, setChosen] = useState(() =>
    before ? chosenOf(before, columns) : firstGuess(format, columns),
  );
  const { rereadData } = useActions();
  const id = useId();
  const problem = problemOf(format, chosen);
  return (
    <form
      className="rounded-xl border border-accent bg-accent-soft p-5"
      data-testid="columns"
      onSubmit={(e) => {
        e.preventDefault();
        if (problem === null) void rereadData({ 'data.columns': columnsOf(chosen, columns) });
      }}
    >
      <h3 className="font-semibold break-words">Columns of {file}</h3>
      <p className="hint mb-4">
        {props.isKnown
          ? 'If the detected format is wrong, choose the right one and its columns.'
          : 'No known format has these column names: choose the format and its columns.'}
      </p>
      <div className="flex flex-wrap items-end gap-4">
        <Select
          id={`${id}-format`}
          label="Row format"
          value={format}
          options={formats}
          onChange={(next) => {
            setFormat(next as RowFormat);
            setChosen(firstGuess(next as RowFormat, columns));
          }}
        />
        {Object.entries(formatRoles[format]).map(([role, must]) =>
          role === 'choices' ? (
            <Choices
              key={role}
              columns={columns}
              chosen={chosen.choices as string[]}
              onChange={(choices) => setChosen({ ...chosen, choices })}
            />
          ) : (
            <Select
              key={role}
              id={`${id}-${role}`}
              label={labels[role]}
              value={chosen[role] as string}
              options={columns}
              none={!must || chosen[role] === ''}
              onChange={(name) => setChosen({ ...chosen, [role]: name })}
            />
          ),
        )}
        <Button type="submit" look="primary" isDisabled={props.disabled || problem !== null}>
          Read the data
        </Button>
      </div>
      {problem !== null && <p className="mt-3 text-sm text-danger">{problem}</p>}
    </form>
  );
}

function Select(props: {
  id: string;
  label: string;
  value: string;
  options: readonly string[];
  none?: boolean;
  onChange(value: string): void;
}) {
  return (
    <div className="flex min-w-40 max-w-full flex-col gap-1">
      <label htmlFor={props.id} className="font-medium">
        {props.label}
      </label>
      <select
        id={props.id}
        className="input"
        value={props.value}
        onChange={(e) => props.onChange(e.target.value)}
      >
        {props.none && <option value="">(none)</option>}
        {props.options.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </div>
  );
}

/** One column that holds a list, or a column for each choice, in the order of the file. */
function Choices(props: {
  columns: readonly string[];
  chosen: readonly string[];
  onChange(chosen: string[]): void;
}) {
  const { columns, chosen, onChange } = props;
  return (
    <fieldset className="min-w-0 basis-full">
      <legend className="font-medium">Choices</legend>
      <p className="hint">One column that holds a list, or a column for each choice</p>
      <div className="flex flex-wrap gap-x-5">
        {columns.map((name) => (
          <label key={name} className="flex min-h-8 items-center gap-2">
            <input
              type="checkbox"
              className="size-4 accent-accent"
              checked={chosen.includes(name)}
              onChange={(e) =>
                onChange(
                  columns.filter((c) => (c === name ? e.target.checked : chosen.includes(c))),
                )
              }
            />
            {name}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
