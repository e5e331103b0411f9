// The memory that the settings come to, by category against a budget, before anything starts.
import { useEffect } from 'react';
import { formProblems, inWords } from '../../state/form.ts';
import type { StageMemory } from '../../worker/protocol/api.ts';
import { useActions, useApp } from '../context.ts';
import { bytes } from '../shared/format.ts';
import { SettingGrid } from '../shared/Setting.tsx';

/** Milliseconds after the last change before the estimate is made. */
const pause = 400;

const kinds: Record<keyof StageMemory['bytes'], string> = {
  weights: 'Weights',
  adapter: 'Adapter',
  optimizer: 'Optimizer',
  activations: 'Activations',
  logits: 'Logits',
  cache: 'Keys and values',
  other: 'Other',
};
const recomputed: Record<StageMemory['recompute'], string> = {
  none: 'no recomputation',
  mlp: 'the inside of the MLPs recomputed',
  block: 'every layer recomputed',
};

export function Memory({ disabled }: { disabled: boolean }) {
  const form = useApp((s) => s.form);
  const data = useApp((s) => s.data.report);
  const estimate = useApp((s) => s.memory);
  const { estimateMemory } = useActions();
  const countable = !disabled && data !== null && Object.keys(formProblems(form)).length === 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: another form or dataset is another estimate
  useEffect(() => {
    if (!countable) return;
    const timer = setTimeout(() => void estimateMemory(), pause);
    return () => clearTimeout(timer);
  }, [countable, form, data, estimateMemory]);
  const budget =
    formProblems(form).memory || form.memory.trim() === '' ? null : Number(form.memory) * 2 ** 20;
  return (
    <section
      aria-labelledby="memory-title"
      className="rounded-xl border border-line p-4"
      data-testid="memory"
    >
      <h3 id="memory-title" className="mb-3 font-medium">
        Memory estimate
      </h3>
      <SettingGrid names={['memory']} disabled={disabled} />
      <div className="mt-4 min-h-40">
        {estimate === null && countable && (
          <p className="hint">Estimating the memory of these settings …</p>
        )}
        {estimate?.problem && <p className="text-danger">{inWords(estimate.problem.message)}</p>}
        {estimate && estimate.stages.length > 0 && (
          <Estimates stages={estimate.stages} budget={budget} />
        )}
      </div>
    </section>
  );
}

function Estimates({ stages, budget }: { stages: readonly StageMemory[]; budget: number | null }) {
  const used = (Object.keys(kinds) as (keyof typeof kinds)[]).filter((kind) =>
    stages.some((s) => s.bytes[kind] > 0),
  );
  return (
    <>
      <table className="w-full max-w-xl text-sm tabular-nums" data-testid="memory-estimate">
        <thead>
          <tr className="text-left text-muted">
            <th scope="col">Memory</th>
            {stages.map(({ stage }) => (
              <th key={stage} scope="col" className="text-right">
                {stage === 'search' ? 'Search' : 'Training'}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {used.map((kind) => (
            <tr key={kind}>
              <th scope="row" className="text-left font-normal">
                {kinds[kind]}
              </th>
              {stages.map((s) => (
                <td key={s.stage} className="text-right">
                  {bytes(s.bytes[kind])}
                </td>
              ))}
            </tr>
          ))}
          <tr className="border-t border-line font-semibold">
            <th scope="row" className="text-left">
              Total
            </th>
            {stages.map((s) => (
              <td key={s.stage} className="text-right">
                {bytes(s.total)}
                {budget !== null && ` of ${bytes(budget)}`}
              </td>
            ))}
          </tr>
        </tbody>
      </table>
      {stages.map((s) => (
        <p key={s.stage} className="hint mt-2">
          {s.stage === 'search' ? 'The search' : 'Training'} runs with a micro-batch of{' '}
          {s.microBatch}, {recomputed[s.recompute]}, logits of {s.logitsChunkRows}{' '}
          {s.logitsChunkRows === 1 ? 'token' : 'tokens'} at a time.
        </p>
      ))}
    </>
  );
}
