// The settings of a run, each with its help and the mistake in it.
import { useState } from 'react';
import { defaultForm, type Form, fields, formProblems, type TextField } from '../../state/form.ts';
import { useActions, useApp } from '../context.ts';
import { Choice, Field } from '../shared/controls.tsx';

const main: readonly TextField[] = ['steps', 'learningRate', 'rank', 'experts', 'topK', 'seed'];
const further: readonly TextField[] = [
  'batch',
  'microBatch',
  'warmupSteps',
  'weightDecay',
  'clipNorm',
  'alpha',
  'dropout',
  'balance',
  'validation',
  'evaluateEvery',
];
const start = defaultForm();

const methods = [
  { value: 'lora-moe', label: 'Mixture of experts' },
  { value: 'lora', label: 'Plain LoRA' },
] as const;
const schedules = [
  { value: 'linear', label: 'Linear' },
  { value: 'cosine', label: 'Cosine' },
  { value: 'constant', label: 'Constant' },
] as const;

function Setting({ name, disabled }: { name: TextField; disabled: boolean }) {
  const form = useApp((s) => s.form);
  const { setForm } = useActions();
  const { label, help, moe } = fields[name];
  if (moe && form.method === 'lora') return null;
  const hint = `${help}. Default ${start[name] === '' ? 'none' : start[name]}.`;
  const change = (value: string) => setForm({ [name]: value } as Partial<Form>);
  return <Field label={label} help={hint} value={form[name]} error={formProblems(form)[name]} disabled={disabled} onChange={change} />;
}

export function Settings({ disabled }: { disabled: boolean }) {
  const form = useApp((s) => s.form);
  const { setForm } = useActions();
  const [more, setMore] = useState(false);
  const wrong = formProblems(form);
  const hiddenWrong = further.some((name) => wrong[name] !== undefined);
  const grid = 'grid gap-x-6 gap-y-5 sm:grid-cols-2 lg:grid-cols-3';
  return (
    <div className="flex flex-col gap-6">
      <Choice
        label="Method"
        value={form.method}
        options={methods}
        disabled={disabled}
        onChange={(method) => setForm({ method })}
        help={
          form.method === 'lora'
            ? 'One pair of low-rank matrices in every linear.'
            : 'Several LoRA experts in every linear; a router picks the best few for each token.'
        }
      />
      <div className={grid}>
        {main.map((name) => (
          <Setting key={name} name={name} disabled={disabled} />
        ))}
      </div>
      <details open={more || hiddenWrong} onToggle={(e) => setMore(e.currentTarget.open)} className="rounded-xl border border-line">
        <summary className="px-4 py-3 font-medium">More settings</summary>
        <div className="flex flex-col gap-5 px-4 pt-1 pb-5">
          <Choice
            label="Schedule"
            value={form.schedule}
            options={schedules}
            disabled={disabled}
            onChange={(schedule) => setForm({ schedule })}
            help="How the learning rate goes on after the warm-up."
          />
          <div className={grid}>
            {further.map((name) => (
              <Setting key={name} name={name} disabled={disabled} />
            ))}
          </div>
        </div>
      </details>
    </div>
  );
}
