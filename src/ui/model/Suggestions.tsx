// Small models to begin with, and whether each can be trained here with the settings there are.
import { useId } from 'react';
import { formProblems } from '../../state/form.ts';
import { isOpen } from '../../state/run.ts';
import { useActions, useApp } from '../context.ts';
import { Button, Field } from '../shared/controls.tsx';
import { bytes, whole } from '../shared/format.ts';
import { SUGGESTIONS } from './suggestions.ts';
import { useVerdicts, Verdict } from './Verdict.tsx';

const shapes = [...new Set(SUGGESTIONS.map((s) => s.shape))];

export function Suggestions({ seen, onChoose }: { seen: boolean; onChoose(id: string): void }) {
  const finding = useApp((s) => s.library.finding);
  const form = useApp((s) => s.form);
  const running = useApp((s) => isOpen(s.run.phase));
  const { setForm, assessModel } = useActions();
  const verdicts = useVerdicts(seen, shapes, assessModel);
  const id = useId();
  return (
    <div>
      <div className="mb-4 max-w-sm">
        <Field
          label="Memory for training, MiB"
          help="The memory budget under Train; empty: no limit"
          value={form.memory}
          error={formProblems(form).memory}
          disabled={running}
          onChange={(memory) => setForm({ memory })}
        />
      </div>
      <p id={id} className="font-medium">
        Suggested
      </p>
      <p className="hint mb-2">
        {form.memory.trim() === ''
          ? 'Training with the settings under Train is checked against the largest buffer that this GPU allows. WebGPU does not report how much memory there is: set a budget to check against it. '
          : 'Training with the settings under Train is checked against this budget and the largest buffer that this GPU allows. '}
        Where it does not fit, smaller settings that do are named.
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard */}
      <section className="overflow-x-auto" aria-labelledby={id} tabIndex={0}>
        <table className="w-full text-left text-sm" data-testid="suggestions" aria-labelledby={id}>
          <thead className="text-muted">
            <tr>
              {['Model, training', 'Parameters', 'Download', 'Context', 'Licence'].map((name) => (
                <th key={name} scope="col" className="py-1 pr-4 font-normal whitespace-nowrap">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {SUGGESTIONS.map((s) => (
              <tr key={s.id} className="border-t border-line">
                <th scope="row" className="py-1 pr-4 font-normal">
                  <Button look="small quiet" isDisabled={finding} onPress={() => onChoose(s.id)}>
                    {s.id}
                  </Button>
                  <span className="block max-w-56 px-3 pb-1">
                    <Verdict verdict={verdicts[s.shape]} />
                  </span>
                </th>
                <td className="py-1 pr-4 whitespace-nowrap">{s.parameters}</td>
                <td className="py-1 pr-4 whitespace-nowrap">about {bytes(s.size)}</td>
                <td className="py-1 pr-4 whitespace-nowrap">{whole(s.context)} tokens</td>
                <td className="py-1 pr-4">
                  {s.licence}
                  {s.gated && ' (terms to accept on the Hub; needs a token)'}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </div>
  );
}
