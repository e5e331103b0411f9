// The first words, the device, and the two ways to begin.
import { FileTrigger } from 'react-aria-components';
import { noDemo } from '../../state/obstacles.ts';
import { tryDemo } from '../commands/try-demo.ts';
import { watchSearch } from '../commands/watch-search.ts';
import { useActions, useApp } from '../context.ts';
import { CommandButton } from '../shared/CommandButton.tsx';
import { Button } from '../shared/controls.tsx';
import { fromPicker } from '../shared/files.ts';
import { ChipIcon, FolderIcon, GridIcon, PlayIcon, WarningIcon } from '../shared/icons.tsx';

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

function DeviceCheck() {
  const device = useApp((s) => s.device);
  if (device.status === 'checking')
    return <p className="mt-5 text-sm text-muted">Looking for a graphics device …</p>;
  if (device.status === 'missing') return <NoWebGpu message={device.message} />;
  const { name, software, maxBindingBytes } = device.report;
  return (
    <p
      className="mt-5 flex flex-wrap items-center gap-x-3 gap-y-2 text-sm text-muted"
      data-testid="device"
    >
      <span className="flex min-w-0 items-center gap-2 break-words">
        <ChipIcon />
        {name} · buffers up to {Math.floor(maxBindingBytes / 2 ** 20)} MiB
      </span>
      {software && (
        <span className="rounded-md bg-warn-soft px-2 py-0.5 text-warn">
          Software renderer: slow, for the demo only
        </span>
      )}
    </p>
  );
}

function NoWebGpu({ message }: { message: string }) {
  return (
    <div
      className="mt-6 flex gap-3 rounded-xl border border-warn bg-warn-soft px-5 py-4"
      data-testid="no-webgpu"
    >
      <span className="mt-0.5 text-warn">
        <WarningIcon />
      </span>
      <div>
        <p className="font-semibold">Training needs WebGPU, which was not found here.</p>
        <p className="text-sm">{message}</p>
        <ul className="mt-2 list-disc pl-5 text-sm">
          <li>
            Chrome or Edge 121 or newer on Windows, macOS, ChromeOS and Android 12 or newer have it
            on by default.
          </li>
          <li>
            Chrome on Linux may need the flag{' '}
            <code className="font-mono">chrome://flags/#enable-unsafe-webgpu</code>, or{' '}
            <code className="font-mono">--enable-unsafe-webgpu --enable-features=Vulkan</code> on
            its command line.
          </li>
          <li>
            Safari has it from version 26, Firefox on Windows from version 141; this page has been
            tested in neither.
          </li>
          <li>The page must be served over https or from localhost.</li>
        </ul>
      </div>
    </div>
  );
}
