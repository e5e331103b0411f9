// Small models to begin with, and whether each can be trained here with the settings there are.
import { useEffect, useState } from 'react';
import { formProblems } from '../../state/form.ts';
import { isOpen } from '../../state/run.ts';
import type { ShapeVerdict } from '../../worker/api.ts';
import { useActions, useApp } from '../context.ts';
import { Button, Field } from '../shared/controls.tsx';
import { bytes, whole } from '../shared/format.ts';
import { SUGGESTIONS } from './suggestions.ts';

/** Milliseconds after the last change of a setting before models are sized again. */
const pause = 400;

/** Verdicts by shape, one after the other while the list can be seen; a changed setting makes them anew. */
function useVerdicts(seen: boolean): Readonly<Record<string, ShapeVerdict>> {
  const form = useApp((s) => s.form);
  const running = useApp((s) => isOpen(s.run.phase));
  const device = useApp((s) => s.device.status === 'ready');
  const { judgeShape } = useActions();
  const [verdicts, setVerdicts] = useState<Record<string, ShapeVerdict>>({});
  // biome-ignore lint/correctness/useExhaustiveDependencies: another form is another verdict
  useEffect(() => {
    if (!seen || running || !device) return;
    let wanted = true;
    const timer = setTimeout(async () => {
      setVerdicts({});
      for (const shape of new Set(SUGGESTIONS.map((s) => s.shape))) {
        const verdict = wanted ? await judgeShape(shape) : null;
        if (wanted && verdict) setVerdicts((before) => ({ ...before, [shape]: verdict }));
      }
    }, pause);
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [seen, running, device, form, judgeShape]);
  return verdicts;
}

export function Suggestions({ seen, onChoose }: { seen: boolean; onChoose(id: string): void }) {
  const finding = useApp((s) => s.library.finding);
  const form = useApp((s) => s.form);
  const running = useApp((s) => isOpen(s.run.phase));
  const { setForm } = useActions();
  const verdicts = useVerdicts(seen);
  return (
    <div className="overflow-x-auto">
      <div className="mb-4 max-w-sm">
        <Field
          label="Memory for training, MiB"
          help="The budget of the settings under Train; empty: not limited"
          value={form.memory}
          error={formProblems(form).memory}
          disabled={running}
          onChange={(memory) => setForm({ memory })}
        />
      </div>
      <table className="w-full text-left text-sm" data-testid="suggestions">
        <caption className="pb-2 text-left">
          <span className="font-medium">Suggested</span>
          <span className="hint block">
            {form.memory.trim() === ''
              ? 'Training is sized with the settings under Train against the largest buffer that this GPU allows. WebGPU does not tell how much memory there is: only a budget is judged. '
              : 'Training is sized with the settings under Train against this budget and the largest buffer that this GPU allows. '}
            fits: as they are set; tight: with the smaller ones named; no: with none.
          </span>
        </caption>
        <thead className="text-muted">
          <tr>
            {['Model', 'Training', 'Parameters', 'Download', 'Context', 'Licence'].map((name) => (
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
              </th>
              <td className="min-w-28 py-1 pr-4">
                <Verdict verdict={verdicts[s.shape]} />
              </td>
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
    </div>
  );
}

function Verdict({ verdict }: { verdict: ShapeVerdict | undefined }) {
  if (!verdict) return <span className="text-muted">–</span>;
  const note = verdict.verdict === 'fits' ? bytes(verdict.bytes) : verdict.verdict === 'tight' ? `with ${verdict.smaller}` : null;
  return (
    <>
      <span className={`font-medium ${verdict.verdict === 'fits' ? 'text-accent' : verdict.verdict === 'no' ? 'text-danger' : ''}`}>
        {verdict.verdict}
      </span>
      {note && <span className="hint block">{note}</span>}
    </>
  );
}
