// The model: choosing a folder, a file, one of the Hub or one stored here; loading, and what was found.
import { lazy, Suspense } from 'react';
import { isOpen } from '../../state/run.ts';
import type { ModelReport } from '../../worker/api.ts';
import { useActions, useApp } from '../context.ts';
import { Button, Progress } from '../shared/controls.tsx';
import { FileDrop } from '../shared/FileDrop.tsx';
import { bytes, short, whole } from '../shared/format.ts';
import { FileIcon, FolderIcon } from '../shared/icons.tsx';
import { Section, Stat, Stats } from '../shared/Section.tsx';

const Library = lazy(() => import('./Library.tsx').then((m) => ({ default: m.Library })));

export function ModelSection() {
  const { status, report, demo } = useApp((s) => s.model);
  const deviceReady = useApp((s) => s.device.status === 'ready');
  const running = useApp((s) => isOpen(s.run.phase));
  const { chooseModel, tryDemo } = useActions();
  return (
    <Section
      id="model"
      title="Model"
      lead="A Hugging Face folder (config.json, tokenizer.json, weights as safetensors in f32, f16 or bf16) or one .gguf file, plain or quantised."
    >
      <div className="flex flex-col gap-5">
        {status === 'loading' ? <Loading /> : report && <Facts report={report} demo={demo} />}
        <FileDrop
          label={report ? 'Another model' : 'Drop a model folder or a .gguf file here'}
          hint="Read in this tab; the files never leave your computer."
          button="Choose folder"
          icon={<FolderIcon />}
          folder
          also={{ button: 'Choose .gguf', icon: <FileIcon />, accept: ['.gguf'] }}
          disabled={!deviceReady || status === 'loading' || running}
          onChoose={({ name, files }) => void chooseModel(name, files)}
        />
        <Suspense>
          <Library blocked={!deviceReady || status === 'loading' || running} />
        </Suspense>
        {report && !demo && status === 'ready' && !running && (
          <p className="hint">
            Or see the whole loop on the built-in model:{' '}
            <Button look="small" onPress={() => void tryDemo(false)}>
              Try the demo
            </Button>
          </p>
        )}
      </div>
    </Section>
  );
}

function Loading() {
  const progress = useApp((s) => s.progress);
  if (!progress) return <Progress label="Reading the model" />;
  const text = `${bytes(progress.done)} of ${bytes(progress.total)}`;
  return <Progress label="Loading weights onto the device" done={progress.done} total={progress.total} text={text} />;
}

function Facts({ report: m, demo }: { report: ModelReport; demo: boolean }) {
  const tokenizer = m.hasTemplate ? 'with chat template' : m.hasTokenizer ? 'no chat template' : 'none: pre-tokenised data only';
  return (
    <div data-testid="model-facts">
      <h3 className="mb-3 font-semibold break-words">{demo ? 'Demo model' : m.name}</h3>
      <Stats>
        <Stat label="Architecture" value={m.architecture} note={`${m.layers} layers, ${m.heads} heads`} />
        <Stat label="Parameters" value={short(m.parameters)} note={`${bytes(m.bytes)} in ${m.dtype}`} />
        <Stat label="Context" value={whole(m.maxPositions)} note="tokens at most" />
        <Stat label="Vocabulary" value={whole(m.vocab)} note={`Tokenizer: ${tokenizer}`} />
      </Stats>
    </div>
  );
}
