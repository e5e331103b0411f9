// config.json of a run: its settings, and the experts, ranks and parameters that they came to.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { layoutAdapter } from '../adapters/layout.ts';
import { siteCost } from '../adapters/methods/methods.ts';
import type { SiteDims } from '../allocation/allocation.ts';
import { parameterCount, siteDims } from '../allocation/allocation.ts';
import type { LoadedModel } from '../model/load.ts';
import { resolveAllocation, trainedAdapter } from '../settings/resolve-allocation.ts';
import { parseTrainingConfig } from '../settings/run-config.ts';
import { RunFolder } from './outputs.ts';

const moe = (dims: SiteDims) => siteCost('lora-moe', dims);

const dir = mkdtempSync(join(tmpdir(), 'outputs-'));
afterAll(() => rmSync(dir, { recursive: true }));

const shape = { layers: 4, hidden: 32, heads: 4, kvHeads: 2, headDim: 8, feedForward: 48 };
const dims = siteDims(shape);
const model = {
  name: 'nano',
  gpu: { name: 'none' },
  variants: { names: { product: 'tile' } },
} as unknown as LoadedModel;

function written(name: string, json: unknown) {
  const config = parseTrainingConfig(json, 'run.json');
  const allocation = resolveAllocation(config, shape);
  const layout = layoutAdapter(trainedAdapter(config, allocation), shape.layers, dims);
  const folder = new RunFolder(join(dir, name), false);
  folder.begin(config, '.', model);
  folder.describe({
    config,
    steps: 7,
    layout,
    choice: { microBatch: 8, recompute: 'mlp', logitsChunkRows: 32 },
  });
  folder.close();
  return { settings: JSON.parse(readFileSync(join(dir, name, 'config.json'), 'utf8')), allocation };
}

test('a preset by name, with its experts, ranks and exact parameters', () => {
  const { settings, allocation } = written('moe', {
    adapter: { parameters: 60_000 },
    allocation: 'mola-2468',
  });
  expect(settings).toMatchObject({
    allocation: 'mola-2468',
    adapter: { parameters: 60_000 },
    train: { steps: 7, microBatch: 8 },
    recompute: 'mlp',
    logitsAtATime: 32,
    model: 'nano',
    kernels: { product: 'tile' },
  });
  expect(settings.experts).toEqual(allocation.experts);
  expect(settings.experts['model.layers.3.mlp.down_proj']).toBe(8);
  expect(settings.ranks).toEqual(allocation.ranks);
  expect(settings.parameters).toBe(parameterCount(allocation, moe(dims)));
  expect(Math.abs(settings.parameters / 60_000 - 1)).toBeLessThan(0.01);
});

test('plain LoRA: parameters and the rank, and no setting of another method', () => {
  const { settings } = written('lora', {
    adapter: { method: 'lora', rank: 2, targets: ['q_proj'], parameters: 4 * 3 * (32 + 32) + 9 },
  });
  expect(settings).toMatchObject({ parameters: 4 * 3 * (32 + 32), rank: 3 });
  expect(settings.adapter).not.toHaveProperty('topK');
  expect(settings).not.toHaveProperty('experts');
  expect(settings).not.toHaveProperty('ranks');
});
