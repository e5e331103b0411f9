// How rows are read: lengths, limit, system prompt, what carries loss, packing, template.
import { formProblems } from '../../state/form.ts';
import { useActions, useApp } from '../context.ts';
import { Field, Toggle } from '../shared/controls.tsx';

export function ReadingOptions({ disabled }: { disabled: boolean }) {
  const form = useApp((s) => s.form);
  const hasTemplate = useApp((s) => s.model.report?.hasTemplate ?? false);
  const { setForm, rereadData } = useActions();
  const problems = formProblems(form);
  return (
    <fieldset className="grid gap-x-6 gap-y-4 border-t border-line pt-5 sm:grid-cols-3">
      <legend className="sr-only">How rows are read</legend>
      <Field
        label="Max length"
        help="Tokens a row may have; longer rows are cut"
        value={form.maxLength}
        error={problems.maxLength}
        disabled={disabled}
        onChange={(maxLength) => setForm({ maxLength })}
        onBlur={() => void rereadData({})}
      />
      <Field
        label="Limit"
        help="Rows to take, the first ones; empty: all"
        value={form.limit}
        error={problems.limit}
        disabled={disabled}
        onChange={(limit) => setForm({ limit })}
        onBlur={() => void rereadData({})}
      />
      <Field
        label="System prompt"
        help="Before chats, prompts and questions that have none of their own; empty: none"
        value={form.system}
        numeric={false}
        disabled={disabled}
        onChange={(system) => setForm({ system })}
        onBlur={() => void rereadData({})}
      />
      <Toggle
        label="Train on answers only"
        help="Prompts carry no loss"
        selected={form.completionOnly}
        disabled={disabled}
        onChange={(completionOnly) => void rereadData({ completionOnly })}
      />
      <Toggle
        label="Last answer only"
        help={
          form.turns === 'last'
            ? 'Earlier answers of a conversation are only read'
            : 'Off: every answer of a conversation carries loss'
        }
        selected={form.turns === 'last'}
        disabled={disabled || !form.completionOnly}
        onChange={(on) => void rereadData({ turns: on ? 'last' : 'all' })}
      />
      <Toggle
        label="Packing"
        help="Several short rows take the place of one; none sees another"
        selected={form.packing}
        disabled={disabled}
        onChange={(packing) => setForm({ packing })}
      />
      <Toggle
        label="Chat template"
        help={hasTemplate ? 'Rows are rendered as the model expects' : 'This model has none'}
        selected={hasTemplate && form.template === 'auto'}
        disabled={disabled || !hasTemplate}
        onChange={(on) => void rereadData({ template: on ? 'auto' : 'none' })}
      />
    </fieldset>
  );
}
