// The chosen model: how far its loading is, with a way out; then what was found.
import type { ModelReport } from '../../worker/protocol/api.ts';
import { cancelLoading } from '../commands/cancel-loading.ts';
import { useApp } from '../context.ts';
import { CommandButton } from '../shared/CommandButton.tsx';
import { Progress } from '../shared/controls.tsx';
import { bytes, short, whole } from '../shared/format.ts';
import { Stat, Stats } from '../shared/Section.tsx';
import { Stages } from '../shared/Stages.tsx';
import { loadingFigures, loadingStages } from './loading.ts';

export function ModelSummary() {
  const { status, report, demo } = useApp((s) => s.model);
  if (status === 'loading') return <Loading />;
  return report && <Facts report={report} demo={demo} />;
}

function Loading() {
  const started = useApp((s) => s.loading);
  const { label, text } = loadingFigures(started);
  const now = started.at(-1);
  return (
    <div className="flex flex-col gap-4" data-testid="loading">
      <Stages label="Loading stages" stages={loadingStages(started)} testId="loading-stages" />
      <div className="flex flex-wrap items-end gap-x-4 gap-y-3">
        <div className="min-w-0 flex-1 basis-60">
          <Progress label={label} done={now?.done} total={now?.total} text={text} />
        </div>
        <CommandButton command={cancelLoading} look="small" />
      </div>
    </div>
  );
}

function Facts({ report: m, demo }: { report: ModelReport; demo: boolean }) {
  const tokenizer = m.hasTemplate
    ? 'with chat template'
    : m.hasTokenizer
      ? 'no chat template'
      : 'none: pre-tokenised data only';
  return (
    <div data-testid="model-facts">
      <h3 className="mb-3 font-semibold break-words">{demo ? 'Demo model' : m.name}</h3>
      <Stats>
        <Stat
          label="Architecture"
          value={m.architecture}
          note={`${m.layers} layers, ${m.heads} heads`}
        />
        <Stat
          label="Parameters"
          value={short(m.parameters)}
          note={`${bytes(m.bytes)} in ${m.dtype}`}
        />
        <Stat label="Context" value={whole(m.maxPositions)} note="tokens at most" />
        <Stat label="Vocabulary" value={whole(m.vocab)} note={`Tokenizer: ${tokenizer}`} />
      </Stats>
      <p className="hint mt-2 break-words" data-testid="kernels">
        Kernels for this device:{' '}
        {Object.entries(m.kernels)
          .map(([family, variant]) => `${family} ${variant}`)
          .join(', ')}
      </p>
    </div>
  );
}
