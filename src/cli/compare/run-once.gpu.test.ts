// Runs and searches one after the other leave nothing on the device, and a run gives the same
// figures again.

import { expect, test } from 'vitest';
import { presetAllocation } from '../../allocation/presets.ts';
import { readDataset } from '../../data/dataset/formats.ts';
import { resolveAllocation } from '../../settings/resolve-allocation.ts';
import { parseTrainingConfig, searches } from '../../settings/run-config.ts';
import { goldenModel } from '../../testing/fixtures.ts';
import { goldenFolder } from '../../testing/golden.ts';
import { testGpu } from '../../testing/gpu.ts';
import { RunControl } from '../../train/control.ts';
import { SearchStage } from '../../train/search/stage.ts';
import { type RunOnce, runOnce } from './run-once.ts';

/** Counts the bytes of buffers that are created and not destroyed from now on. */
async function watchBuffers(): Promise<() => number> {
  const { device } = await testGpu();
  const create = device.createBuffer.bind(device);
  let bytes = 0;
  device.createBuffer = (descriptor) => {
    const buffer = create(descriptor);
    const destroy = buffer.destroy.bind(buffer);
    let alive = true;
    bytes += descriptor.size;
    buffer.destroy = () => {
      if (alive) bytes -= descriptor.size;
      alive = false;
      return destroy();
    };
    return buffer;
  };
  return () => bytes;
}

test('runs and searches free what they put on the device; the same run again gives the same figures', async () => {
  const folder = await goldenFolder('train-moe');
  const model = await goldenModel('train-moe');
  const data = { maxLength: 24, validation: 0.25 };
  const config = parseTrainingConfig(
    {
      data,
      adapter: { experts: 4, rank: 4, parameters: 9000 },
      search: { steps: 2, batch: 2, microBatch: 2 },
      train: { steps: 2, batch: 2, microBatch: 2, learningRate: 1e-2 },
    },
    'run.json',
  );
  const options = { tokenizer: null, vocab: model.config.vocab, data: config.data };
  const { examples } = await readDataset([folder.open('data.jsonl')!], options);
  const { targets, experts: maxExperts, rank: maxRank, topK } = config.adapter;
  const sizes = presetAllocation('random', {
    layers: model.config.layers,
    targets,
    maxExperts,
    maxRank,
    topK,
    seed: 1,
  });
  const once = (change: Partial<RunOnce> = {}) =>
    runOnce({
      model,
      rows: examples,
      config,
      allocation: resolveAllocation(config, model.config, sizes),
      heldOut: { examples, tokenizer: null },
      control: new RunControl(),
      onStep: () => undefined,
      ...change,
    });
  const bytes = await watchBuffers();
  const first = await once();
  expect(first).toMatchObject({
    steps: 2,
    loss: expect.any(Number),
    exactMatch: expect.any(Number),
    validationLoss: expect.any(Number),
  });
  expect(bytes()).toBe(0);

  const tune = await once({ heldOut: null });
  expect([tune?.loss, tune?.exactMatch, tune?.validationLoss]).toEqual([
    null,
    null,
    first?.validationLoss,
  ]);
  const stopped = new RunControl();
  expect(await once({ control: stopped, onStep: () => stopped.stop() })).toBeNull();
  expect(bytes()).toBe(0);

  if (!searches(config)) throw new Error('the settings have a search');
  const search = await SearchStage.create({ model, rows: examples, config });
  expect(bytes()).toBeGreaterThan(0);
  await search.run();
  const found = resolveAllocation(config, model.config, await search.selection());
  search.destroy();
  expect(bytes()).toBe(0);

  expect(await once({ allocation: found })).not.toMatchObject({ loss: first?.loss });
  const { seconds: _, ...figures } = first!;
  expect(await once()).toMatchObject(figures);
  expect(bytes()).toBe(0);
});
