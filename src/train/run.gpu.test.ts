// A whole run as events: their order, the default review, and what a listener that leaves does.

import { expect, test } from 'vitest';
import { parseRunConfig, type RunConfigInput } from '../settings/run-config.ts';
import { goldenModel } from '../testing/fixtures.ts';
import { RunControl } from './control.ts';
import { type RunEvent, type RunInput, run } from './run.ts';

const rows = Array.from({ length: 20 }, (_, r) => {
  const ids = Array.from({ length: 5 + (r % 7) }, (_, t) => (3 + 5 * r + 7 * t) % 97);
  return { ids, labels: ids };
});

async function inputOf(change: RunConfigInput = {}): Promise<RunInput> {
  const model = await goldenModel('train-moe');
  const settings: RunConfigInput = {
    adapter: { experts: 4, rank: 3, parameters: 9000 },
    search: { steps: 3, batch: 2, microBatch: 2 },
    train: { steps: 3, batch: 2, microBatch: 2 },
  };
  return { model, rows, config: parseRunConfig({ ...settings, ...change }, 'test') };
}

test('search, review and training; the review answers with what was found, of adapter.parameters', async () => {
  const input = await inputOf();
  const told: string[] = [];
  for await (const event of run(input)) {
    const last = told.at(-1);
    if (event.type !== 'progress' && event.type !== last) told.push(event.type);
    if (event.type === 'found') {
      expect(event.stage.done).toBe(3);
      expect((await event.stage.values()).upper.length).toBeGreaterThan(0); // still there
    }
    if (event.type !== 'trained') continue;
    expect(event.stage.done).toBe(3);
    event.stage.layout.store.destroy();
  }
  expect(told.filter((type) => !['step', 'upper', 'routing', 'phase'].includes(type))).toEqual([
    ...['search-began', 'found', 'training-began', 'validation', 'trained'],
  ]);
});

test.each(['phase', 'progress', 'search-began', 'upper', 'found', 'training-began', 'routing'])(
  'a listener that leaves at "%s" ends the run, and nothing but its adapter stays on the device',
  async (type) => {
    const input = await inputOf();
    const { created } = input.model.gpu;
    const before = created.held;
    let adapter = 0;
    const control = new RunControl();
    for await (const event of run({ ...input, control })) {
      if (event.type === 'training-began') adapter = 4 * event.stage.layout.store.bytes;
      if (event.type === type) break;
    }
    expect(created.held).toBe(before + adapter);
    expect(control.stopped).toBe(!['found', 'trained'].includes(type));
  },
);

test('a listener that throws ends the run with its error', async () => {
  const input = await inputOf({ search: false });
  const { created } = input.model.gpu;
  const before = created.held;
  const listen = async () => {
    for await (const event of run(input)) {
      if (event.type === 'step') throw new Error('the disk is full');
      if (event.type === 'training-began') free = () => event.stage.layout.store.destroy();
    }
  };
  let free = () => undefined as unknown;
  await expect(listen()).rejects.toThrow('the disk is full');
  free();
  expect(created.held).toBe(before);
});

test('a review may be slow, is asked again where no training can begin, and ends the run with null', async () => {
  const input = await inputOf();
  const asked: unknown[] = [];
  const nothing = { experts: {}, ranks: {} };
  const events: RunEvent['type'][] = [];
  const review: RunInput['review'] = async (_, error) => {
    asked.push(error);
    await new Promise((resolve) => setTimeout(resolve, 10));
    return asked.length < 3 ? nothing : null;
  };
  for await (const event of run({ ...input, review })) events.push(event.type);
  expect(asked).toEqual([undefined, expect.any(Error), expect.any(Error)]);
  expect(events).not.toContain('training-began');
});
