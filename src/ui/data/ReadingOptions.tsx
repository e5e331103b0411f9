// How rows are read: lengths, limit, system prompt, what carries loss, packing, template.
import { fieldsOf } from '../../state/fields.ts';
import { useApp } from '../context.ts';
import { Setting } from '../shared/Setting.tsx';

// what the training is validated with stands beside its own settings
const names = fieldsOf('data', ['data.validation']);

export function ReadingOptions({ disabled }: { disabled: boolean }) {
  const answersOnly = useApp((s) => s.form['data.completionOnly']);
  const hasTemplate = useApp((s) => s.model.report?.hasTemplate ?? false);
  const off: { [name in string]?: string | false } = {
    'data.turns': !answersOnly && 'Prompts and answers all carry loss',
    'data.template': !hasTemplate && 'This model has none',
  };
  return (
    <fieldset className="grid gap-x-6 gap-y-4 border-t border-line pt-5 sm:grid-cols-3">
      <legend className="sr-only">How rows are read</legend>
      {names.map((name) => (
        <Setting key={name} name={name} disabled={disabled} off={off[name]} />
      ))}
    </fieldset>
  );
}
