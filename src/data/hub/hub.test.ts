// Models from a hub that goes wrong in every way: each case ends in a clear state, and what is
// fetched again is only what is missing.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Fault, MockHub, type MockModel, TOKEN } from '../../testing/hub.ts';
import { MemoryDirectory } from '../../testing/opfs.ts';
import { readAll } from '../source.ts';
import { findModel, offeredConfig, parseModelId } from './hub.ts';
import type { HubAccess } from './hub-request.ts';
import { ModelStore } from './opfs.ts';

const bytes = (length: number, seed: number) =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) * 7 + seed) & 255);
const commit = 'a'.repeat(40);
const size = 300_000;
const safetensors: MockModel['files'] = {
  'README.md': { bytes: bytes(50, 1) },
  'config.json': { bytes: bytes(700, 2) },
  'model.safetensors': { bytes: bytes(size, 3), lfs: true },
  'tokenizer.json': { bytes: bytes(9000, 4) },
  'pytorch_model.bin': { bytes: bytes(10, 5), lfs: true },
};
const ggufs = Object.fromEntries(
  ['m.Q4_0.gguf', 'm.Q8_0.gguf', 'm-00001-of-00002.gguf'].map((n, i) => [
    n,
    { bytes: bytes(100, i), lfs: true },
  ]),
);
const shards = Object.fromEntries(
  [
    'config.json',
    'model.safetensors.index.json',
    'model-00001-of-00002.safetensors',
    'model-00002-of-00002.safetensors',
  ].map((name, i) => [name, { bytes: bytes(200, i), lfs: name.startsWith('model-') }]),
);
const models: MockModel[] = [
  { id: 'lab/tiny', commit, files: safetensors },
  { id: 'lab/gated', commit, access: 'gated', files: safetensors },
  { id: 'lab/private', commit, access: 'private', files: safetensors },
  { id: 'lab/packed', commit, files: ggufs },
  { id: 'lab/shards', commit, files: shards },
  {
    id: 'lab/pickle',
    commit,
    files: {
      'config.json': { bytes: bytes(5, 0) },
      'pytorch_model.bin': { bytes: bytes(5, 0), lfs: true },
    },
  },
];
const weights = 'model.safetensors';
const total = size + 9700;

let hub: MockHub;
let store: ModelStore;
let root: MemoryDirectory;
const servers = [0, 1].map(() => createServer((req, res) => void hub.handle(req, res)));
const origins: string[] = [];
beforeAll(async () => {
  for (const server of servers) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origins.push(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  }
});
afterAll(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});
beforeEach(() => {
  hub = new MockHub(models);
  [hub.hub, hub.cdn] = origins;
  root = new MemoryDirectory();
  store = new ModelStore(async () => root);
});

const patience = { tries: 3, pause: 0.01, longest: 5, stall: 20 };
const access = (change: Partial<HubAccess> = {}): HubAccess => ({
  address: origins[0],
  token: null,
  patience,
  ...change,
});
const find = (id: string, revision = 'main', token: string | null = null) =>
  findModel(id, revision, access({ token }));
const begin = async (id = 'lab/tiny', token: string | null = null) =>
  store.begin((await find(id, 'main', token))[0]);
const fetchAll = (key: string, change: Partial<HubAccess> = {}) =>
  store.download(key, access(change), () => undefined);
const fault = (path: string, ...faults: Fault[]) => hub.faults.set(path, faults);
const stored = async () => (await store.list())[0];
/** The weights in the store are those of the hub. */
async function expectWhole(key: string) {
  expect(await stored()).toMatchObject({ key, complete: true, bytes: total, here: total });
  const folder = await store.open(key);
  for (const name of folder.files)
    expect(Buffer.compare(await readAll(folder.open(name)!), safetensors[name].bytes), name).toBe(
      0,
    );
}

test('the config.json of what was found comes alone, also after a failure that passes; refusals are reported', async () => {
  const [offer] = await find('lab/tiny');
  hub.faults.set('config.json', [{ kind: 'status', status: 503 }]);
  expect(await offeredConfig(offer, access({}))).toBe(
    new TextDecoder().decode(safetensors['config.json'].bytes),
  );
  expect([hub.sent('config.json'), hub.sent(weights)]).toEqual([700, 0]);
  const [gated] = await find('lab/gated');
  await expect(offeredConfig(gated, access({}))).rejects.toThrow(
    'its authors require you to accept their terms',
  );
  expect(await offeredConfig(gated, access({ token: TOKEN }))).toHaveLength(
    new TextDecoder().decode(safetensors['config.json'].bytes).length,
  );
});

describe('finding a model', () => {
  test('a revision becomes a commit; the tree comes in pages; only what is needed is offered', async () => {
    const [offer, ...more] = await find('https://huggingface.co/lab/tiny/tree/main');
    expect(more).toEqual([]);
    expect(offer).toMatchObject({
      id: 'lab/tiny',
      revision: 'main',
      commit,
      gguf: null,
      bytes: total,
    });
    expect(offer.files.map((f) => [f.path, f.size, f.sha256?.length])).toEqual([
      ['config.json', 700, undefined],
      [weights, size, 64],
      ['tokenizer.json', 9000, undefined],
    ]);
    expect((await find('lab/shards'))[0].files).toHaveLength(4);
    expect((await find('lab/tiny', commit))[0].commit).toBe(commit);
  });

  test('each .gguf file is an offer of its own, parts of split ones are none', async () => {
    expect((await find('lab/packed')).map((o) => [o.gguf, o.files.length, o.bytes])).toEqual([
      ['m.Q4_0.gguf', 1, 100],
      ['m.Q8_0.gguf', 1, 100],
    ]);
  });

  test('what is wrong is said', async () => {
    const cases: [() => Promise<unknown>, string][] = [
      [() => find('no model'), '“no model” is not a model id'],
      [() => find('../x'), 'is not a model id'],
      [
        () => find('lab/none'),
        'lab/none, revision main: there is no such model, or it is private and needs an access token',
      ],
      [() => find('lab/none', 'main', TOKEN), 'there is no such model.'],
      [() => find('lab/private'), 'or it is private'],
      [() => find('lab/tiny', 'v9'), 'revision v9: the model has no such revision'],
      [() => find('lab/tiny', 'main', 'hf_wrong'), 'does not accept this access token'],
      [
        () => find('lab/pickle'),
        'neither safetensors with a config.json nor a .gguf file (config.json, pytorch_model.bin',
      ],
      [
        () => findModel('lab/tiny', 'main', access({ address: 'http://127.0.0.1:1' })),
        'cannot be reached; is this computer online? (3 tries)',
      ],
    ];
    for (const [work, message] of cases) await expect(work()).rejects.toThrow(message);
    expect((await find('lab/private', 'main', TOKEN))[0].bytes).toBe(total);
    expect(parseModelId(' hf.co/lab/tiny/ ')).toBe('lab/tiny');
  });

  test('a passing failure of a list is waited for', async () => {
    fault('info', { kind: 'status', status: 503 });
    fault('tree', { kind: 'status', status: 429, retryAfter: '0' });
    expect((await find('lab/tiny'))[0].bytes).toBe(total);
  });

  test('a list that never comes is given up and asked for again', async () => {
    fault('info', { kind: 'stall', after: 0 });
    const impatient = access({ patience: { ...patience, stall: 0.5 } });
    expect((await findModel('lab/tiny', 'main', impatient))[0].bytes).toBe(total);
  });
});

describe('downloading', () => {
  test('fetches each byte once, over the redirect to another host that never sees the token', async () => {
    const key = await begin('lab/private', TOKEN);
    const seen: number[] = [];
    await store.download(key, access({ token: TOKEN }), (done, all) => seen.push(done / all));
    await expectWhole(key);
    expect(hub.served.map((s) => [s.path, s.from, s.sent])).toEqual([
      ['config.json', 0, 700],
      [weights, 0, size],
      ['tokenizer.json', 0, 9000],
    ]);
    expect(seen.at(-1)).toBe(1);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    await fetchAll(key); // complete: nothing is asked
    expect(hub.served).toHaveLength(3);
  });

  test('cut off in the middle, twice: goes on from where it stands', async () => {
    fault(weights, { kind: 'cut', after: 100_000 }, { kind: 'cut', after: 50_000 });
    const key = await begin();
    await fetchAll(key);
    await expectWhole(key);
    expect(hub.served.filter((s) => s.path === weights)).toEqual([
      { path: weights, from: 0, sent: 100_000 },
      { path: weights, from: 100_000, sent: 50_000 },
      { path: weights, from: 150_000, sent: 150_000 },
    ]);
  });

  test('a connection over which nothing comes is given up and made again', async () => {
    fault(weights, { kind: 'stall', after: 120_000 });
    const key = await begin();
    await fetchAll(key, { patience: { ...patience, stall: 0.5 } });
    await expectWhole(key);
    expect(hub.sent(weights)).toBe(size);
  });

  test('a slow one is borne', async () => {
    fault(weights, { kind: 'slow', piece: 60_000, ms: 100 });
    const key = await begin();
    await fetchAll(key);
    await expectWhole(key);
    expect(hub.served.filter((s) => s.path === weights)).toHaveLength(1);
  });

  test('a pause keeps what came; later only the rest is fetched, in a new session too', async () => {
    fault(weights, { kind: 'slow', piece: 50_000, ms: 50 });
    const key = await begin();
    const pause = new AbortController();
    const onProgress = (done: number) => done > 110_000 && pause.abort();
    await expect(
      store.download(key, access({ signal: pause.signal }), onProgress),
    ).rejects.toMatchObject({ name: 'AbortError' });
    const { here, complete } = await stored();
    expect(complete).toBe(false);
    expect(here).toBeGreaterThan(110_000);
    expect(here).toBeLessThan(total);
    await expect(store.open(key)).rejects.toThrow('lab/tiny: its download is incomplete');
    const before = hub.served.length;
    store = new ModelStore(async () => root);
    await fetchAll(await begin());
    await expectWhole(key);
    expect(hub.served.slice(before)).toEqual([
      { path: weights, from: here - 700, sent: total - here - 9000 },
      { path: 'tokenizer.json', from: 0, sent: 9000 },
    ]);
  });

  test('a host that ignores Range: the file is taken from its beginning', async () => {
    fault(weights, { kind: 'cut', after: 100_000 }, { kind: 'no-range' });
    const key = await begin();
    await fetchAll(key);
    await expectWhole(key);
    expect(hub.served.filter((s) => s.path === weights).map((s) => s.from)).toEqual([0, 0]);
  });

  test.each([weights, 'config.json'])(
    '%s with a wrong hash is thrown away, and right the next time',
    async (path) => {
      fault(path, { kind: 'wrong-byte' });
      const key = await begin();
      await expect(fetchAll(key)).rejects.toThrow(
        new RegExp(`lab/tiny: ${path}: its SHA-(1|256) is [0-9a-f]+, but the Hub says [0-9a-f]+`),
      );
      expect((await stored()).complete).toBe(false);
      expect((await stored()).here).toBe(path === weights ? 700 : 0);
      await fetchAll(key);
      await expectWhole(key);
    },
  );

  test('429: waits as long as Retry-After says, tells it, and gives up where that is too long', async () => {
    const waits: number[] = [];
    fault(weights, { kind: 'status', status: 429, retryAfter: '1' });
    const key = await begin();
    const started = performance.now();
    await fetchAll(key, { onWait: (seconds) => waits.push(seconds) });
    expect(waits).toEqual([1]);
    expect(performance.now() - started).toBeGreaterThan(990);
    await expectWhole(key);
    await store.remove(key);
    fault(weights, { kind: 'status', status: 429, retryAfter: '3600' });
    await expect(begin().then((k) => fetchAll(k))).rejects.toThrow(
      'too many requests to the Hub from this computer. Try again in 3600 s',
    );
  });

  test('failures that do not pass end after a few tries, what came is kept', async () => {
    const key = await begin();
    fault(
      weights,
      { kind: 'cut', after: 80_000 },
      ...[500, 502, 503].map((status) => ({ kind: 'status' as const, status })),
    );
    await expect(fetchAll(key)).rejects.toThrow(
      /model\.safetensors: the Hub answered with status 50\d \(3 tries\)/,
    );
    expect((await stored()).here).toBe(80_700);
  });

  test('gated models and files that went are refused with the reason', async () => {
    const key = await begin('lab/gated');
    await expect(fetchAll(key)).rejects.toThrow(
      /lab\/gated: config\.json: .*accept their terms.*enter an access token/,
    );
    await fetchAll(key, { token: TOKEN });
    await expectWhole(key);
    const [offer] = await find('lab/packed');
    const gone = { ...offer, gguf: 'gone.gguf', files: [{ ...offer.files[0], path: 'gone.gguf' }] };
    await expect(fetchAll(await store.begin(gone))).rejects.toThrow(
      'lab/packed: gone.gguf: the file no longer exists',
    );
  });

  test('full storage is said, and the download goes on after room was made', async () => {
    const key = await begin();
    root.room.bytes = 100_000;
    await expect(fetchAll(key)).rejects.toThrow(
      "model.safetensors: this browser's storage is full",
    );
    root.room.bytes = 1e6;
    await fetchAll(key);
    await expectWhole(key);
    expect(hub.sent(weights)).toBeLessThan(2 * size);
  });
});

test('the store lists, opens without the hub, and deletes', async () => {
  const key = await begin('lab/packed');
  await fetchAll(key);
  hub = new MockHub([]);
  const folder = await new ModelStore(async () => root).open(key);
  expect([folder.name, folder.files]).toEqual(['lab/packed/m.Q4_0.gguf', ['m.Q4_0.gguf']]);
  expect(await stored()).toEqual({
    key,
    id: 'lab/packed',
    commit,
    gguf: 'm.Q4_0.gguf',
    bytes: 100,
    here: 100,
    complete: true,
  });
  await store.remove(key);
  expect(await store.list()).toEqual([]);
  await expect(store.open(key)).rejects.toThrow('lab/packed is not stored in this browser');
});

test('a list of files that is damaged is no model, and can be deleted', async () => {
  const key = await begin();
  const folder = await (await root.getDirectoryHandle('models')).getDirectoryHandle(key);
  (await (await folder.getFileHandle('guilomo-files.json')).createSyncAccessHandle()).truncate(20);
  expect(await stored()).toMatchObject({ complete: false, bytes: 0 });
  await expect(fetchAll(key)).rejects.toThrow(/guilomo-files\.json/);
  await store.remove(key);
  expect(await store.list()).toEqual([]);
});
