// One setting as a text field, with its help, its default and the mistake in it.
import { type Form, fields, isUsed, type TextField } from '../../state/fields.ts';
import { defaultForm, formProblems } from '../../state/form.ts';
import { useActions, useApp } from '../context.ts';
import { Field } from '../shared/controls.tsx';

/** Learning-rate schedules, of either level. */
export const schedules = [
  { value: 'linear', label: 'Linear' },
  { value: 'cosine', label: 'Cosine' },
  { value: 'constant', label: 'Constant' },
] as const;

const start = defaultForm();

export function Setting({ name, disabled }: { name: TextField; disabled: boolean }) {
  const form = useApp((s) => s.form);
  const { setForm } = useActions();
  const { label, help, needs } = fields[name];
  if (!isUsed(form, needs)) return null;
  const hint = `${help}. Default ${start[name] === '' ? 'none' : start[name]}.`;
  const change = (value: string) => setForm({ [name]: value } as Partial<Form>);
  return (
    <Field
      label={label}
      help={hint}
      value={form[name]}
      error={formProblems(form)[name]}
      disabled={disabled}
      onChange={change}
    />
  );
}

/** Settings side by side. */
export function SettingGrid({
  names,
  disabled,
}: {
  names: readonly TextField[];
  disabled: boolean;
}) {
  return (
    <div className="grid gap-x-6 gap-y-5 sm:grid-cols-2 lg:grid-cols-3">
      {names.map((name) => (
        <Setting key={name} name={name} disabled={disabled} />
      ))}
    </div>
  );
}
