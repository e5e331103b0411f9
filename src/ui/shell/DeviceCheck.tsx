// The device that was found, and what to do where there is none, or a slow one beside a fast one.
import type { ReactNode } from 'react';
import { runBenchmark } from '../commands/run-benchmark.ts';
import { useApp } from '../context.ts';
import { CommandButton } from '../shared/CommandButton.tsx';
import { ChipIcon, WarningIcon } from '../shared/icons.tsx';

export function DeviceCheck() {
  const device = useApp((s) => s.device);
  const benchmark = useApp((s) => s.benchmark.status);
  if (device.status === 'checking')
    return <p className="mt-5 text-sm text-muted">Looking for a graphics device …</p>;
  if (device.status === 'missing')
    return (
      <Warning testId="no-webgpu" title="Training needs WebGPU, which was not found here.">
        <p className="text-sm">{device.message}</p>
        <Remedies />
      </Warning>
    );
  const { name, software, graphics, maxBindingBytes } = device.report;
  return (
    <>
      <p
        className="mt-5 flex flex-wrap items-center gap-x-3 gap-y-2 text-sm text-muted"
        data-testid="device"
      >
        <span className="flex min-w-0 items-center gap-2 break-words">
          <ChipIcon />
          {name} · buffers up to {Math.floor(maxBindingBytes / 2 ** 20)} MiB
        </span>
        {software && !graphics && (
          <span className="rounded-md bg-warn-soft px-2 py-0.5 text-warn">
            Software renderer: slow, for the demo only
          </span>
        )}
        {benchmark === 'none' && <CommandButton command={runBenchmark} look="small" />}
      </p>
      {software && graphics && (
        <Warning
          testId="software-device"
          title={`WebGPU runs in software here, although this computer has a GPU (${graphics}).`}
        >
          <p className="text-sm">
            Training on the CPU is hundreds of times slower. To use the GPU:
          </p>
          <Remedies />
        </Warning>
      )}
    </>
  );
}

function Warning({
  title,
  testId,
  children,
}: {
  title: string;
  testId: string;
  children: ReactNode;
}) {
  return (
    <div
      className="mt-6 flex gap-3 rounded-xl border border-warn bg-warn-soft px-5 py-4"
      data-testid={testId}
    >
      <span className="mt-0.5 text-warn">
        <WarningIcon />
      </span>
      <div className="min-w-0">
        <p className="font-semibold">{title}</p>
        {children}
      </div>
    </div>
  );
}

/** What gives a browser WebGPU on the graphics card, as of late 2026. */
const Remedies = () => (
  <ul className="mt-2 list-disc pl-5 text-sm">
    <li>
      Use Chrome or Edge, Safari 26 or newer, or Firefox: 141 or newer on Windows, 145 or newer on
      Apple silicon. This page is tested in Chrome.
    </li>
    <li>
      In Chrome and Edge, turn on graphics acceleration in Settings → System, then restart;{' '}
      <code className="font-mono">chrome://gpu</code> says what is blocked.
    </li>
    <li>
      On Linux with another GPU than Intel’s, start Chrome with{' '}
      <code className="font-mono">--enable-unsafe-webgpu --enable-features=Vulkan</code>.
    </li>
    <li>Open the page over https or from localhost.</li>
  </ul>
);
