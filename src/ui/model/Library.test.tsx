// @vitest-environment happy-dom
// Models of the Hub and of this browser on a store without workers: what is shown, and which calls
// the workers get.
import { act, cleanup, fireEvent, render, screen } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
import { createActions } from '../../state/actions.ts';
import { createAppStore } from '../../state/store.ts';
import type { Client } from '../../worker/protocol/client.ts';
import type { StoredModel } from '../../worker/protocol/library-api.ts';
import { AppContext } from '../context.ts';
import { Library } from './Library.tsx';

afterEach(cleanup);

function open() {
  const library = {
    list: vi.fn(async (): Promise<StoredModel[]> => []),
    find: vi.fn(),
    config: vi.fn(async () => '{}'),
    pause: vi.fn(),
    remove: vi.fn(),
  };
  const download = vi.fn();
  const trainer = {
    openDevice: vi.fn(async () => ({
      name: 'Test GPU',
      software: true,
      maxBindingBytes: 2 ** 30,
      subgroups: null,
      timestamps: false,
    })),
    loadModel: vi.fn(),
    assessModel: vi.fn(async (_: unknown) => ({
      verdict: 'refused',
      problem: { code: 'bad-model', message: 'no such kind' },
    })),
  };
  const app = createAppStore();
  const actions = createActions(app, {
    trainer,
    library: () => library,
    download,
    end: () => undefined,
  } as unknown as Client);
  render(
    <AppContext value={{ app, actions }}>
      <Library blocked={false} />
    </AppContext>,
  );
  return { library, download, trainer, app, actions };
}

const press = (name: string) =>
  act(async () => fireEvent.click(screen.getByRole('button', { name, hidden: true })));

const offer = {
  id: 'lab/tiny',
  revision: 'main',
  commit: 'a'.repeat(40),
  gguf: null,
  files: [],
  bytes: 2048,
};
const stored = {
  key: 'k',
  id: 'lab/tiny',
  commit: offer.commit,
  gguf: null,
  bytes: 2048,
  here: 1024,
  complete: false,
};

test('a suggested model is looked for, downloaded, opened; what is stored can be resumed, opened and deleted', async () => {
  const { library, download, trainer, actions } = open();
  await act(() => actions.checkDevice());
  library.find.mockResolvedValueOnce([offer]);
  await press('Qwen/Qwen3-0.6B');
  expect(library.find).toHaveBeenCalledWith('Qwen/Qwen3-0.6B', 'main', '');
  expect(screen.getByTestId('offers').textContent).toContain('main is commit aaaaaaaa');
  download.mockResolvedValueOnce({ key: 'k', paused: true });
  library.list.mockResolvedValue([stored]);
  await press('Download lab/tiny');
  expect(trainer.loadModel).not.toHaveBeenCalled();
  expect(screen.getByTestId('stored').textContent).toContain('1.0 KiB of 2.0 KiB, incomplete');
  download.mockResolvedValueOnce({ key: 'k', paused: false });
  library.list.mockResolvedValue([{ ...stored, here: 2048, complete: true }]);
  await press('Resume lab/tiny');
  expect(download).toHaveBeenLastCalledWith('k', '', expect.any(Function));
  expect(trainer.loadModel).toHaveBeenCalledWith({ kind: 'stored', key: 'k' });
  await press('Open lab/tiny');
  expect(trainer.loadModel).toHaveBeenCalledTimes(2);
  library.list.mockResolvedValue([]);
  await press('Delete lab/tiny');
  expect(library.remove).toHaveBeenCalledWith('k');
  expect(screen.queryByTestId('stored')).toBeNull();
});

test('what was found is judged by its config.json before it is downloaded; a refused one cannot be', async () => {
  vi.useFakeTimers();
  try {
    const { library, trainer, actions } = open();
    await act(() => actions.checkDevice());
    screen.getByTestId<HTMLDetailsElement>('hub').open = true;
    fireEvent(screen.getByTestId('hub'), new Event('toggle'));
    const packed = { ...offer, gguf: 'm.gguf' };
    const found = {
      ...offer,
      files: [{ path: 'model.safetensors', size: 2000, gitSha1: '', sha256: null }],
    };
    library.find.mockResolvedValueOnce([found, packed]);
    await act(() => actions.findModel('lab/tiny', 'main', ''));
    expect(screen.getAllByTestId('offer-verdict')).toHaveLength(1);
    await act(() => vi.advanceTimersByTimeAsync(1000));
    const judged = trainer.assessModel.mock.calls
      .map(([what]) => what)
      .filter((what) => typeof what !== 'string');
    expect(judged).toEqual([{ name: 'lab/tiny', config: '{}', bytes: 2000 }]);
    expect(screen.getByTestId('offer-verdict').textContent).toBe('Training: refused: no such kind');
    expect(screen.getByRole('button', { name: 'Download lab/tiny', hidden: true })).toHaveProperty(
      'disabled',
      true,
    );
    expect(
      screen.getByRole('button', { name: 'Download lab/tiny/m.gguf', hidden: true }),
    ).toHaveProperty('disabled', false);
  } finally {
    vi.useRealTimers();
  }
});

test('progress and waits of a download are shown, and it can be paused; a refusal is a notice', async () => {
  const { library, download, app, actions } = open();
  await act(() => actions.checkDevice());
  let refuse = (_: Error) => {};
  download.mockImplementationOnce(
    (_what, _token, onProgress) =>
      new Promise((_, reject) => {
        refuse = reject;
        onProgress({
          done: 512,
          total: 2048,
          waiting: 'the connection was lost; next try in 2 s',
        });
      }),
  );
  await act(async () => void actions.download(offer, ''));
  expect(screen.getByTestId('download-progress').textContent).toContain('512 B of 2.0 KiB');
  expect(screen.getByTestId('download-progress').textContent).toContain(
    'Waiting: the connection was lost',
  );
  await press('Pause download');
  expect(library.pause).toHaveBeenCalled();
  await act(async () =>
    refuse(Object.assign(new Error('lab/tiny: no.'), { name: 'InputError:hub' })),
  );
  expect(screen.queryByTestId('download-progress')).toBeNull();
  expect(app.getState().notices[0]).toMatchObject({
    code: 'hub',
    message: 'lab/tiny: no.',
  });
});
