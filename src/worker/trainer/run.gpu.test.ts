// A run in the worker with a tiny model: what the page is told, the review, pausing, failures, and
// what is left on the device.

import { afterEach, expect, test, vi } from 'vitest';
import type { LoadedModel } from '../../model/load.ts';
import { parseRunConfig, type RunConfigInput } from '../../settings/run-config.ts';
import { goldenModel } from '../../testing/fixtures.ts';
import type { WorkerEvent } from '../protocol/api.ts';
import { EventSender } from '../protocol/events.ts';
import { Run } from './run.ts';

afterEach(() => vi.restoreAllMocks());

const search = { steps: 3, batch: 2, microBatch: 2, upperLearningRate: 0.1 };
const train = { steps: 4, batch: 2, microBatch: 2, learningRate: 1e-2 };
const rows = Array.from({ length: 20 }, (_, r) => {
  const ids = Array.from({ length: 5 + (r % 7) }, (_, t) => (3 + 5 * r + 7 * t) % 97);
  return { ids, labels: ids };
});

/** Starts a run; `when` is called with each event as the page would get it. */
async function start(
  model: LoadedModel,
  change: RunConfigInput,
  when: (event: WorkerEvent, run: () => Run) => void = () => undefined,
) {
  const events: WorkerEvent[] = [];
  const failures: unknown[] = [];
  let run: Run | null = null;
  const sender = new EventSender((batch) => {
    for (const event of batch) {
      events.push(event);
      when(event, () => run!);
    }
  });
  const settings = {
    data: { validation: 0.2 },
    adapter: { experts: 4, rank: 3 },
    ...change,
  } as RunConfigInput;
  const config = parseRunConfig(settings, 'test');
  const fail = (error: unknown) => failures.push(error);
  run = await Run.start({ model, rows, config, events: sender, fail });
  const phase = async (wanted: string) => {
    await vi.waitFor(() => expect(phasesOf(events)).toContain(wanted), { timeout: 20_000 });
  };
  return { run, events, failures, phase };
}

const phasesOf = (events: readonly WorkerEvent[]) =>
  events.flatMap((e) => (e.type === 'phase' ? [e.phase] : []));
const stepsOf = (events: readonly WorkerEvent[], stage: 'search' | 'train') =>
  events.flatMap((e) => (e.type === 'steps' && e.stage === stage ? [...e.series.step] : []));
const model = async () => goldenModel('train-moe');

test('a search, its review, and the training with the allocation that was answered', async () => {
  const loaded = await model();
  const { created } = loaded.gpu;
  const before = created.held;
  const { run, events, failures, phase } = await start(loaded, { search, train });
  expect([run.open, run.idle, run.stage]).toEqual([true, false, null]);
  await expect(run.proceed({ experts: {}, ranks: {} })).rejects.toThrow('no search to review');
  await phase('review');
  await run.settled();
  expect(created.held).toBe(before); // the search is gone
  expect([run.open, run.idle]).toEqual([true, true]);
  const report = events.find((e) => e.type === 'review')!.report;
  expect(report).toMatchObject({ step: 3, complete: true, problem: null });
  await expect(run.proceed({ experts: {}, ranks: {} })).rejects.toMatchObject({
    name: expect.stringContaining('InputError'),
  });
  expect(run.idle).toBe(true);
  await run.proceed(report.found);
  expect([run.idle, run.allocation]).toEqual([false, report.found]);
  await phase('finished');
  expect([run.open, run.idle, run.step, failures]).toEqual([false, true, 4, []]);
  expect(phasesOf(events)).toEqual([
    ...['compiling', 'searching', 'review'],
    ...['compiling', 'training', 'evaluating', 'training', 'finished'],
  ]);
  expect(events.map((e) => e.type)).toEqual(
    expect.arrayContaining(['search-began', 'training-began', 'upper', 'speed', 'validation']),
  );
  expect(stepsOf(events, 'search')).toEqual([1, 2, 3]);
  expect(stepsOf(events, 'train')).toEqual([1, 2, 3, 4]);
  expect(run.metrics.map((m) => m.stage)).toEqual([
    ...['search', 'search', 'search'],
    ...['train', 'train', 'train', 'train', 'train'],
  ]);
  expect(
    run
      .history!.trim()
      .split('\n')
      .map((line) => JSON.parse(line).step),
  ).toEqual([0, 1, 2, 3]);
  expect(created.held - before).toBe(4 * run.stage!.layout.store.bytes); // the adapter alone
  run.destroy();
  expect(created.held).toBe(before);
});

test('a training that cannot begin leaves the review as it was, and the next one begins', async () => {
  const loaded = await model();
  const { created, device } = loaded.gpu;
  const before = created.held;
  const { run, events, failures, phase } = await start(loaded, { search, train });
  await phase('review');
  const { found } = events.find((e) => e.type === 'review')!.report;
  vi.spyOn(device, 'createBindGroup').mockImplementationOnce(() => {
    throw new Error('the driver refuses');
  });
  await expect(run.proceed(found)).rejects.toThrow('the driver refuses');
  expect([run.open, run.idle, run.allocation]).toEqual([true, true, null]);
  expect(phasesOf(events).slice(-2)).toEqual(['compiling', 'review']);
  await run.proceed(found);
  await phase('finished');
  expect([run.step, failures]).toEqual([4, []]);
  run.destroy();
  expect(created.held).toBe(before);
});

test('a review that is discarded ends the run; without training there is none to proceed to', async () => {
  const loaded = await model();
  const first = await start(loaded, { search, train });
  await first.phase('review');
  first.run.discard();
  expect([first.run.open, first.run.idle]).toEqual([false, true]);
  await first.phase('stopped');
  expect(() => first.run.discard()).toThrow('no search to review');
  const { run, events, phase } = await start(loaded, { search, train: false });
  await phase('review');
  const { found } = events.find((e) => e.type === 'review')!.report;
  await expect(run.proceed(found)).rejects.toThrow('no training follows');
  run.stop();
  await phase('finished');
  expect(phasesOf(events)).toEqual(['compiling', 'searching', 'review', 'finished']);
});

test('a search that is stopped is reviewed as far as it got, and the training that follows is not', async () => {
  const loaded = await model();
  const long = { ...search, steps: 2000 };
  const { run, events, phase } = await start(loaded, { search: long, train });
  run.stop();
  await phase('review');
  const { found, step, complete } = events.find((e) => e.type === 'review')!.report;
  expect(step).toBeLessThan(2000);
  expect(complete).toBe(false);
  await run.proceed(found);
  await phase('finished');
  expect(run.step).toBe(4);
  run.destroy();
});

test('a paused run holds still with every figure, and goes on to the same values; stopped it keeps them', async () => {
  const loaded = await model();
  const more = { ...train, steps: 12 };
  const whole = await start(loaded, { train: more });
  await whole.phase('finished');
  const values = await whole.run.stage!.values();
  const { run, events, phase } = await start(loaded, { train: more });
  for (const at of [1, 2]) {
    run.pause();
    expect(run.idle).toBe(true);
    await run.settled();
    const { done } = run.stage!;
    expect(run.metrics.filter((m) => m.stage === 'train' && 'loss' in m)).toHaveLength(done);
    await run.stage!.values(); // time for a step, were one going
    expect(run.stage!.done, `pause ${at}`).toBe(done);
    run.resume();
    expect(run.idle).toBe(false);
  }
  await phase('finished');
  expect(await run.stage!.values()).toEqual(values);
  expect(phasesOf(events).filter((p) => p === 'paused').length).toBeGreaterThan(0);
  const stopped = await start(loaded, { train: { ...train, steps: 5000 } });
  stopped.run.pause();
  await stopped.run.settled();
  stopped.run.stop();
  await stopped.phase('stopped');
  expect(stopped.run.step).toBeLessThan(5000);
  expect(stopped.run.step).toBe(stopped.run.stage!.done);
  for (const r of [whole, { run }, stopped]) r.run.destroy();
});

test('a loss that is not finite fails the run at the step before; the adapter stays usable', async () => {
  const loaded = await model();
  const wild = { ...train, steps: 50, learningRate: 1e30, clipNorm: null };
  const { run, events, failures, phase } = await start(loaded, { train: wild });
  await phase('failed');
  expect(failures).toEqual([
    expect.objectContaining({ message: expect.stringMatching(/^Step \d+ gave a loss of/) }),
  ]);
  expect([run.open, run.idle]).toEqual([false, true]);
  await run.settled();
  expect(run.step).toBe(Math.max(...stepsOf(events, 'train')));
  expect((await run.stage!.values()).every((v) => Number.isFinite(v))).toBe(true);
  run.destroy();
});

test('settings that no run can begin with are refused, with nothing left on the device', async () => {
  const loaded = await model();
  const { held } = loaded.gpu.created;
  const many = { ...train, batch: 64 };
  await expect(start(loaded, { train: many, data: { shuffle: true } })).rejects.toThrow(
    /fewer than train\.batch 64/,
  );
  expect(loaded.gpu.created.held).toBe(held);
});
