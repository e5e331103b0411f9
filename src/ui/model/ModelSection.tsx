// The model: choosing a folder, a file, one of the Hub or one stored here; loading, and what was
// found.
import { lazy, Suspense } from 'react';
import { isOpen } from '../../state/run.ts';
import { tryDemo } from '../commands/try-demo.ts';
import { useActions, useApp } from '../context.ts';
import { CommandButton } from '../shared/CommandButton.tsx';
import { FileDrop } from '../shared/FileDrop.tsx';
import { FileIcon, FolderIcon } from '../shared/icons.tsx';
import { Section } from '../shared/Section.tsx';

const ModelSummary = lazy(() =>
  import('./ModelSummary.tsx').then((m) => ({ default: m.ModelSummary })),
);
const Library = lazy(() => import('./Library.tsx').then((m) => ({ default: m.Library })));

export function ModelSection() {
  const { status, report, demo } = useApp((s) => s.model);
  const deviceReady = useApp((s) => s.device.status === 'ready');
  const running = useApp((s) => isOpen(s.run.phase));
  const { chooseModel } = useActions();
  return (
    <Section
      id="model"
      title="Model"
      lead="A Hugging Face folder (config.json, tokenizer.json, weights as safetensors in f32, f16 or bf16) or one .gguf file, plain or quantised."
    >
      <div className="flex flex-col gap-5">
        {status !== 'none' && (
          <Suspense fallback={<div className="h-44" />}>
            <ModelSummary />
          </Suspense>
        )}
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
            Or see every step on the built-in model:{' '}
            <CommandButton command={tryDemo} look="small" />
          </p>
        )}
      </div>
    </Section>
  );
}
