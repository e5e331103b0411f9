// Whole runs in the kernels that graphics processors get, on any device: training and search
// against PyTorch.
import { expect } from 'vitest';
import { openSafetensors, readF32 } from '../data/weights/safetensors.ts';
import { searchStateValues } from '../files/search-files.ts';
import { parseRunConfig, parseTrainingConfig, searches } from '../settings/run-config.ts';
import { goldenRows, test } from '../testing/fixtures.ts';
import { goldenFolder, goldenJson } from '../testing/golden.ts';
import { relativeError } from '../testing/gpu.ts';
import { namedVectors } from './search/layout.ts';
import { searchGradients, searchLayout } from './search/setup.ts';
import { SearchStage } from './search/stage.ts';
import { TrainingStage } from './training.ts';

test('gpu kernels: 20 training steps follow PyTorch', async ({ adapted, own }) => {
  const { model, layout, values, rows } = await adapted('train-moe', 'gpu');
  const config = parseTrainingConfig(await goldenJson('train-moe', 'run.json'), 'run.json');
  const golden = await goldenJson<{ loss: number }[]>('train-moe', 'run.golden.json');
  const losses: number[] = [];
  const stage = await TrainingStage.create({
    model,
    rows,
    config,
    allocation: layout.spec.allocation,
    init: async () => values,
    emit: (event) => {
      if (event.type === 'step') losses.push(event.metrics.loss);
    },
  });
  own(stage);
  await stage.run();
  expect(losses).toHaveLength(20);
  losses.forEach((loss, i) => {
    expect(Math.abs(loss - golden[i].loss), `step ${i + 1}`).toBeLessThan(1e-3);
  });
});

test('gpu kernels: the gradient of every GSV equals PyTorch’s (1e-4)', async ({ load, own }) => {
  const name = 'search-paper-second';
  const model = await load('train-moe', 'gpu');
  const config = parseRunConfig(await goldenJson(name, 'gradients.run.json'), name);
  if (!searches(config)) throw new Error('the settings have a search');
  const layout = searchLayout(config, model.config);
  own(layout.adapter.store);
  own(layout.upper);
  const init = (await goldenFolder('search-common')).open('init.safetensors')!;
  const start = await searchStateValues(layout, (await openSafetensors(init)).entries, 'init');
  const rows = await goldenRows('search-common');
  const { gradient } = await searchGradients({ model, rows, config, layout, values: start });
  const golden = (await goldenFolder(name)).open('gradients.safetensors')!;
  const { entries } = await openSafetensors(golden);
  for (const v of namedVectors(layout).upper) {
    const at = v.bank.offset + v.first;
    const want = await readF32(entries.get(v.name)!);
    const have = gradient.slice(at, at + v.count);
    expect(relativeError(have, want), v.name).toBeLessThanOrEqual(1e-4);
  }
});

test('gpu kernels: a search ends with the GSVs of the device’s own kernels (1e-3)', async ({
  load,
}) => {
  const search = { steps: 3, batch: 4, microBatch: 2, learningRate: 1e-2, upperLearningRate: 0.1 };
  const config = parseRunConfig({ adapter: { rank: 3, experts: 4 }, search }, 'test');
  if (!searches(config)) throw new Error('the settings have a search');
  const ends: Float32Array[] = [];
  for (const kernels of ['gpu', undefined]) {
    const model = await load('train-moe', kernels);
    const rows = Array.from({ length: 20 }, (_, r) => {
      const ids = Array.from({ length: 5 + (r % 7) }, (_, t) => (3 + 5 * r + 7 * t) % 100);
      return { ids, labels: ids };
    });
    const stage = await SearchStage.create({ model, rows, config });
    try {
      await stage.run();
      ends.push((await stage.values()).upper);
    } finally {
      stage.destroy();
    }
  }
  expect(relativeError(ends[0], ends[1])).toBeLessThan(1e-3);
});
