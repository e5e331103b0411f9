// The first words, the device, and the two ways to begin.
import { FileTrigger } from 'react-aria-components';
import { noDemo } from '../../state/obstacles.ts';
import { tryDemo } from '../commands/try-demo.ts';
import { watchSearch } from '../commands/watch-search.ts';
import { useActions, useApp } from '../context.ts';
import { CommandButton } from '../shared/CommandButton.tsx';
import { Button } from '../shared/controls.tsx';
import { fromPicker } from '../shared/files.ts';
import { FolderIcon, GridIcon, PlayIcon } from '../shared/icons.tsx';
import { DeviceCheck } from './DeviceCheck.tsx';

export function Hero() {
  const missing = useApp((s) => s.device.status === 'missing');
  const started = useApp((s) => s.model.status !== 'none');
  const off = useApp((s) => noDemo(s) !== null);
  const { chooseModel } = useActions();
  return (
    <div className="px-1 pt-2 pb-3 sm:px-2">
      <h1
        className={`max-w-2xl leading-tight font-semibold tracking-tight ${started ? 'text-2xl' : 'text-3xl sm:text-4xl'}`}
      >
        Fine-tune a small language model in this tab.{' '}
        <span className="text-accent">Nothing is uploaded.</span>
      </h1>
      {!started && (
        <p className="mt-3 max-w-prose text-muted">
          Load a Llama, Qwen2 or Qwen3 model from your disk, add a dataset, watch the loss fall,
          compare answers, and download the adapter. Plain LoRA, or a mixture of LoRA experts whose
          number and ranks a search finds, trained on your own graphics card.
        </p>
      )}
      {!missing && !started && (
        <div className="mt-6 flex flex-wrap gap-3">
          <CommandButton command={tryDemo} look="primary" icon={<PlayIcon />} />
          <CommandButton command={watchSearch} icon={<GridIcon />} />
          <FileTrigger
            acceptDirectory
            onSelect={(list) => {
              const { name, files } = fromPicker(list);
              if (files.length > 0) void chooseModel(name, files);
            }}
          >
            <Button isDisabled={off}>
              <FolderIcon />
              Choose a model folder
            </Button>
          </FileTrigger>
        </div>
      )}
      <DeviceCheck />
    </div>
  );
}
