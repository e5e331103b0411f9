// The library worker's work: one download at a time, pausing, room, deleting while it goes on.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ModelStore } from '../../data/hub/opfs.ts';
import { type Fault, MockHub, type MockModel } from '../../testing/hub.ts';
import { MemoryDirectory } from '../../testing/opfs.ts';
import type { DownloadProgress } from '../protocol/library-api.ts';
import { Library } from './library.ts';

const weights = { bytes: new Uint8Array(200_000).fill(7), lfs: true };
const model = (id: string): MockModel => ({
  id,
  commit: 'b'.repeat(40),
  files: { 'config.json': { bytes: new Uint8Array(10) }, 'model.safetensors': weights },
});
const hub = new MockHub([model('lab/one'), model('lab/two')]);
const server = createServer((req, res) => void hub.handle(req, res));
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  hub.hub = hub.cdn = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const slow: Fault = { kind: 'slow', piece: 20_000, ms: 60 };
function make(room = 1e9) {
  const root = new MemoryDirectory();
  const access = { address: hub.hub, patience: { tries: 3, pause: 0.3, longest: 5, stall: 20 } };
  return new Library({ store: new ModelStore(async () => root), access, room: async () => room });
}
const offer = async (library: Library, id: string) => (await library.find(id, ' ', ' '))[0];

test('a pause ends the download, whose key goes on with it; a second one is refused meanwhile', async () => {
  const library = make();
  const one = await offer(library, 'lab/one');
  hub.faults.set('model.safetensors', [slow]);
  const told: DownloadProgress[] = [];
  let began = () => {};
  const going = new Promise<void>((resolve) => {
    began = resolve;
  });
  const first = library.download(one, '', (progress) => {
    told.push(progress);
    if (progress.done > 20_000) began();
  });
  await going;
  await expect(
    library.download(await offer(library, 'lab/two'), '', () => undefined),
  ).rejects.toThrow('A model is being downloaded');
  library.pause();
  const { key, paused } = await first;
  expect(paused).toBe(true);
  expect(told.at(-1)).toMatchObject({ total: 200_010, waiting: null });
  expect((await library.list())[0]).toMatchObject({ key, complete: false });
  expect(await library.download(key, '', () => undefined)).toEqual({ key, paused: false });
  expect((await library.list())[0]).toMatchObject({ key, complete: true, here: 200_010 });
});

test('deleting a model ends its download, and no other', async () => {
  const library = make();
  const [one, two] = [await offer(library, 'lab/one'), await offer(library, 'lab/two')];
  const { key } = await library.download(one, '', () => undefined);
  hub.faults.set('model.safetensors', [slow]);
  let began = () => {};
  const going = new Promise<void>((resolve) => {
    began = resolve;
  });
  const second = library.download(two, '', ({ done }) => done > 20_000 && began());
  await going;
  await library.remove(key);
  const [left] = await library.list();
  expect(left).toMatchObject({ id: 'lab/two', complete: false });
  await library.remove(left.key);
  expect((await second).paused).toBe(true);
  expect(await library.list()).toEqual([]);
});

test('a wait of the Hub is reported with its reason', async () => {
  const library = make();
  hub.faults.set('model.safetensors', [{ kind: 'status', status: 503 }]);
  const told: (string | null)[] = [];
  await library.download(await offer(library, 'lab/one'), '', ({ waiting }) => told.push(waiting));
  expect(told).toContain('the Hub answered with status 503; next try in 1 s');
});

test('too little room is said before anything is fetched, and nothing is left behind', async () => {
  const library = make(150_000);
  const before = hub.served.length;
  await expect(
    library.download(await offer(library, 'lab/one'), '', () => undefined),
  ).rejects.toThrow('lab/one: 1 MiB more are needed, but this browser gives this page only 1 MiB');
  expect(hub.served.length).toBe(before);
  expect(await library.list()).toEqual([]);
});
