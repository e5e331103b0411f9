// The trainer with a tiny model: one thing at a time on the device, and exports while a run pauses.
import { unzipSync } from 'fflate';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { readAll } from '../../data/source.ts';
import type { RunConfigInput } from '../../settings/run-config.ts';
import { goldenFolder } from '../../testing/golden.ts';
import type { ExportReport, WorkerEvent } from '../protocol/api.ts';
import { EventSender } from '../protocol/events.ts';
import { Trainer } from './trainer.ts';

beforeAll(async () => {
  if (!globalThis.navigator?.gpu)
    vi.stubGlobal('navigator', { gpu: await (await import('../../cli/dawn.ts')).dawnProvider() });
});
afterAll(() => {
  vi.unstubAllGlobals();
});

const settings = (steps: number): RunConfigInput => ({
  data: { validation: 0.2 },
  adapter: { experts: 3, rank: 2 },
  train: { steps, batch: 2, microBatch: 2 },
});

/** A trainer with the tiny model, and 20 rows of 8 tokens. */
async function trainer() {
  const events: WorkerEvent[] = [];
  const all = Int32Array.from({ length: 160 }, (_, i) => (i * 7) % 97);
  const starts = Int32Array.from({ length: 21 }, (_, i) => 8 * i);
  const files = [{ name: 'rows.jsonl', examples: 20 }];
  const row = { prompt: 'p', expected: 'e', answer: null, choices: null };
  const [promptIds, answerIds] = [all.slice(0, 4), all.slice(4, 6)];
  const data = {
    examples: async () => ({ ids: all, labels: all, starts, files }),
    heldOut: async () => [{ ...row, promptIds, answerIds }],
  };
  const it = new Trainer(
    new EventSender((batch) => events.push(...batch)),
    data as never,
    'https://example.invalid/',
  );
  const folder = await goldenFolder('train-moe');
  const names = folder.files.filter((name) => /config\.json|model\.safetensors/.test(name));
  const file = async (name: string) => new File([await readAll(folder.open(name)!)], name);
  const source = {
    kind: 'files' as const,
    name: 'tiny',
    files: await Promise.all(names.map(file)),
  };
  await it.loadModel(source);
  const phase = async (wanted: string) => {
    const seen = () => events.some((e) => e.type === 'phase' && e.phase === wanted);
    await vi.waitFor(() => expect(seen(), wanted).toBe(true), { timeout: 20_000 });
  };
  return { it, events, phase };
}

/** Steps in an export's metrics. */
const stepsIn = ({ zip }: ExportReport): number[] =>
  new TextDecoder()
    .decode(unzipSync(zip)['metrics.jsonl'])
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .flatMap((m) => ('loss' in m ? [m.step] : []));

test('an export of a run that was just paused has the figures of every step of its adapter', async () => {
  const { it, phase } = await trainer();
  await expect(it.exportAdapter()).rejects.toThrow('There is no run yet');
  await it.start(settings(5000));
  await expect(it.exportAdapter()).rejects.toThrow('busy with the run');
  expect(() => it.start(settings(1))).toThrow('A run is under way');
  expect(() => it.benchmark('')).toThrow('A run is under way');
  await vi.waitFor(async () => {
    it.pause();
    const first = await it.exportAdapter(); // refused before the first step
    expect(first.step).toBeGreaterThan(0);
    expect(stepsIn(first)).toEqual(Array.from({ length: first.step }, (_, i) => i + 1));
    it.resume();
  });
  // What is asked for meanwhile is refused, and a stop ends the run all the same.
  it.pause();
  const exporting = it.exportAdapter();
  expect(() => it.resume()).toThrow('busy with an export');
  await expect(it.checkHeldOut('tuned')).rejects.toThrow('busy with an export');
  it.stop();
  const report = await exporting;
  expect(stepsIn(report)).toEqual(Array.from({ length: report.step }, (_, i) => i + 1));
  await phase('stopped');
  const last = await it.exportAdapter();
  expect(last.step).toBe(report.step);
  expect((await it.checkHeldOut('tuned')).step).toBe(last.step);
});

test('a benchmark has the device to itself and leaves the adapter as it is; cancelled, it measures nothing', async () => {
  const { it, events, phase } = await trainer();
  await it.start(settings(1));
  await phase('finished');
  const { zip } = await it.exportAdapter();
  const measuring = it.benchmark('device/copy');
  await expect(it.exportAdapter()).rejects.toThrow('busy with the benchmark');
  expect((await measuring).rows.map(({ name }) => name)).toEqual(['device/copy']);
  expect(events).toContainEqual(expect.objectContaining({ type: 'measuring', total: 1 }));
  const again = it.benchmark('device/');
  it.cancelBenchmark();
  expect(await again).toMatchObject({ measured: 0, cases: 2, rows: [], problem: null });
  const adapter = (bytes: Uint8Array) => unzipSync(bytes)['adapter/adapter_model.safetensors'];
  expect(adapter(zip).length).toBeGreaterThan(0);
  expect(adapter((await it.exportAdapter()).zip)).toEqual(adapter(zip));
});

test('a run that failed gives its adapter as it was at the last good step', async () => {
  const { it, events, phase } = await trainer();
  const wild = settings(40);
  await it.start({
    ...wild,
    train: { ...wild.train, learningRate: 1e30, clipNorm: null },
  } as never);
  await phase('failed');
  expect(events).toContainEqual({
    type: 'failure',
    code: 'internal',
    message: expect.stringContaining('gave a loss of'),
  });
  const report = await it.exportAdapter();
  expect(stepsIn(report)).toEqual(Array.from({ length: report.step }, (_, i) => i + 1));
  await it.start(settings(1)); // and another run can begin
  await phase('finished');
});

test('bad settings are refused before anything begins; the model stays', async () => {
  const { it } = await trainer();
  await expect(it.start({ train: { batch: 3, microBatch: 2 } })).rejects.toThrow('microBatch');
  const many = { ...settings(1), data: { shuffle: true }, train: { batch: 64, microBatch: 1 } };
  await expect(it.start(many)).rejects.toThrow('fewer than train.batch 64');
  await expect(it.checkHeldOut('tuned')).rejects.toThrow('no adapter yet');
  await it.start(settings(1));
});
