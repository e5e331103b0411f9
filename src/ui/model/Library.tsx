// Models stored in this browser, and those of the Hugging Face Hub.
import { useEffect, useState } from 'react';
import { nameOfModel } from '../../state/library.ts';
import type { StoredModel } from '../../worker/protocol/library-api.ts';
import { pauseDownload } from '../commands/pause-download.ts';
import { useActions, useApp } from '../context.ts';
import { CommandButton } from '../shared/CommandButton.tsx';
import { Button, Progress } from '../shared/controls.tsx';
import { bytes } from '../shared/format.ts';
import { HubForm } from './HubForm.tsx';

export function Library({ blocked }: { blocked: boolean }) {
  const [token, setToken] = useState('');
  const [seen, setSeen] = useState(false);
  const { listModels } = useActions();
  useEffect(() => void listModels(), [listModels]);
  return (
    <>
      <Stored blocked={blocked} token={token} />
      <details
        className="rounded-xl border border-line px-5 py-4"
        data-testid="hub"
        onToggle={(e) => setSeen(e.currentTarget.open)}
      >
        <summary className="cursor-pointer font-medium">From the Hugging Face Hub</summary>
        <HubForm seen={seen} token={token} onToken={setToken} />
      </details>
      <Download />
    </>
  );
}

/** What is stored, with sizes; opening, going on, deleting. */
function Stored({ blocked, token }: { blocked: boolean; token: string }) {
  const stored = useApp((s) => s.library.stored);
  if (!stored?.length) return null;
  const all = stored.reduce((sum, { here }) => sum + here, 0);
  return (
    <div data-testid="stored">
      <h3 className="font-semibold">On this device</h3>
      <p className="hint">{bytes(all)} in this browser's storage. Models here open offline.</p>
      <ul className="mt-2 flex flex-col divide-y divide-line">
        {stored.map((model) => (
          <Row key={model.key} model={model} blocked={blocked} token={token} />
        ))}
      </ul>
    </div>
  );
}

function Row({ model, blocked, token }: { model: StoredModel; blocked: boolean; token: string }) {
  const downloading = useApp((s) => s.library.download);
  const { openStored, download, removeStored } = useActions();
  const name = nameOfModel(model);
  const { complete, here, bytes: total } = model;
  return (
    <li className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2 py-2">
      <div className="min-w-0">
        <p className="font-medium break-words">{name}</p>
        <p className="hint">
          {complete ? bytes(total) : `${bytes(here)} of ${bytes(total)}, incomplete`} · commit{' '}
          {model.commit.slice(0, 8)}
        </p>
      </div>
      <div className="flex gap-2">
        {complete ? (
          <Button
            look="small"
            isDisabled={blocked}
            aria-label={`Open ${name}`}
            onPress={() => void openStored(model.key)}
          >
            Open
          </Button>
        ) : (
          <Button
            look="small"
            isDisabled={downloading !== null}
            aria-label={`Resume ${name}`}
            onPress={() => void download(model, token)}
          >
            Resume
          </Button>
        )}
        <Button
          look="small quiet"
          isDisabled={downloading?.name === name}
          aria-label={`Delete ${name}`}
          onPress={() => void removeStored(model.key)}
        >
          Delete
        </Button>
      </div>
    </li>
  );
}

/** The current download. */
function Download() {
  const download = useApp((s) => s.library.download);
  if (!download) return null;
  const { name, done, total, waiting } = download;
  return (
    <div className="flex flex-wrap items-end gap-x-4 gap-y-2" data-testid="download-progress">
      <div className="min-w-0 flex-1 basis-60">
        <Progress
          label={`Downloading ${name}`}
          done={done}
          total={total}
          text={`${bytes(done)} of ${bytes(total)}`}
        />
        {waiting && <p className="hint mt-1">Waiting: {waiting}.</p>}
      </div>
      <CommandButton command={pauseDownload} look="small" />
    </div>
  );
}
