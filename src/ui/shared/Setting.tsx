// One setting as its schema has it: a field, a choice or a switch, with its help, its default and
// the mistake in it.
import type { Setting as Info } from '../../settings/catalog.ts';
import { type FieldName, type Form, fields, isUsed } from '../../state/fields.ts';
import { defaultForm, formProblems, isReading } from '../../state/form.ts';
import { useActions, useApp } from '../context.ts';
import { Choice, Field, Toggle } from './controls.tsx';

const start = defaultForm();

/** What a text field says below it. */
function hintOf({ help, unit, range, none }: Info, initial: string): string {
  const parts = [help, unit ? `in ${unit.shown}` : range, none && `empty: ${none}`];
  const byDefault = initial === '' ? '' : ` Default ${initial}.`;
  return `${parts.filter(Boolean).join('; ')}.${byDefault}`;
}

export function Setting(props: {
  name: FieldName;
  disabled: boolean;
  /** In place of the help that its schema has. */
  help?: string;
  /** Of a switch: why it is off and can't be turned on. */
  off?: string | false;
}) {
  const { name, disabled, help, off } = props;
  const form = useApp((s) => s.form);
  const { setForm, rereadData } = useActions();
  const field = fields[name];
  const { label = name, kind, values, choices, on } = field;
  if (!isUsed(form, name)) return null;
  const set = (value: string | boolean, reread: boolean) => {
    const change = { [name]: value } as Partial<Form>;
    if (reread) void rereadData(change);
    else setForm(change);
  };
  const rereads = isReading(name);
  const value = form[name];
  if (kind === 'switch' || on !== undefined)
    return (
      <Toggle
        label={label}
        help={off || (help ?? field.help)}
        selected={!off && (on === undefined ? value === true : value === on)}
        disabled={disabled || Boolean(off)}
        onChange={(selected) =>
          set(on === undefined ? selected : values.find((v) => (v === on) === selected)!, rereads)
        }
      />
    );
  if (kind === 'choice')
    return (
      <Choice
        label={label}
        value={String(value)}
        options={values.map((v) => ({ value: v, label: choices?.[v] ?? v }))}
        disabled={disabled}
        onChange={(chosen) => set(chosen, rereads)}
        help={help ?? `${field.help}.`}
      />
    );
  return (
    <Field
      label={label}
      help={help ?? hintOf(field, String(start[name]))}
      value={String(value)}
      error={formProblems(form)[name]}
      numeric={kind === 'number'}
      disabled={disabled}
      onChange={(text) => set(text, false)}
      onBlur={rereads ? () => void rereadData({}) : undefined}
    />
  );
}

/** Settings side by side, choices first. */
export function SettingGrid({
  names,
  disabled,
}: {
  names: readonly FieldName[];
  disabled: boolean;
}) {
  const form = useApp((s) => s.form);
  const used = names.filter((name) => isUsed(form, name));
  const isChoice = (name: FieldName) => fields[name].kind === 'choice';
  const all = (some: readonly FieldName[]) =>
    some.map((name) => <Setting key={name} name={name} disabled={disabled} />);
  const choices = used.filter(isChoice);
  return (
    <>
      {choices.length > 0 && <div className="flex flex-wrap gap-x-8 gap-y-4">{all(choices)}</div>}
      <div className="grid gap-x-6 gap-y-5 sm:grid-cols-2 lg:grid-cols-3">
        {all(used.filter((name) => !isChoice(name)))}
      </div>
    </>
  );
}
