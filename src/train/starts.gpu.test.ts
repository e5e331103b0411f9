// A start that fails leaves no buffer on the device, whatever it fails at: each compilation, a
// kernel, bad starting values, whoever listens.
import { afterEach, expect, test, vi } from 'vitest';
import { layoutAdapter } from '../adapters/layout.ts';
import { siteDims, uniformAllocation } from '../allocation/allocation.ts';
import { createGpu, type Gpu } from '../gpu/device.ts';
import { forwardLogits } from '../model/forward.ts';
import { generate } from '../model/generate.ts';
import { type LoadedModel, loadModel } from '../model/load.ts';
import { parseRunConfig, searches, trains } from '../settings/run-config.ts';
import { goldenFolder } from '../testing/golden.ts';
import { testGpu } from '../testing/gpu.ts';
import { alike } from './batch.ts';
import { Runtime } from './runtime.ts';
import { SearchStage } from './search/stage.ts';
import type { StageLinks } from './stage.ts';
import { TrainingStage } from './training.ts';

afterEach(() => vi.restoreAllMocks());

const rows = Array.from({ length: 20 }, (_, r) => {
  const ids = Array.from({ length: 5 + (r % 7) }, (_, t) => (3 + 5 * r + 7 * t) % 97);
  return { ids, labels: ids };
});
const adapter = { experts: 3, rank: 2 };
const search = { steps: 2, batch: 2, microBatch: 2, order: 'second-order' };
const config = parseRunConfig({ adapter, search, train: { batch: 2, microBatch: 2 } }, 'test');
if (!searches(config) || !trains(config)) throw new Error('the settings have both stages');
const trained = { ...config, allocation: 'uniform' as const };
type Extra = StageLinks & { init?: () => Promise<never> };

/** What can be started on a model: it then frees what it made. */
const starts: Record<string, (model: LoadedModel, extra?: Extra) => Promise<unknown>> = {
  'a training': async (model, extra) =>
    (await TrainingStage.create({ model, rows, config: trained, ...extra })).destroy(),
  'a search': async (model, extra) =>
    (await SearchStage.create({ model, rows, config, ...extra })).destroy(),
  'a runtime': async (model) => {
    const { layers } = model.config;
    const allocation = uniformAllocation(layers, ['q_proj'], 2, 2);
    const spec = { ...config.adapter, targets: ['q_proj' as const], allocation };
    const layout = layoutAdapter(spec, layers, siteDims(model.config));
    layout.store.allocate(model.gpu);
    try {
      const shape = { rows: 1, seqLen: 8, targets: 8 };
      (await Runtime.create(model, layout, alike(shape), { dropout: false })).destroy();
    } finally {
      layout.store.destroy();
    }
  },
  answers: (model) => generate(model, null, [[1, 2]], { maxNewTokens: 2, stopIds: [] }),
  logits: (model) => forwardLogits(model, null, [[1, 2, 3]]),
};

const modelOn = async (gpu: Gpu) => loadModel(gpu, await goldenFolder('train-moe'));

test.each(Object.entries(starts))('%s, at each of its programs', async (_, start) => {
  const gpu = await testGpu();
  const model = await modelOn(gpu);
  const { held } = gpu.created;
  await start(model);
  expect(gpu.created.held).toBe(held);
  const pop = gpu.device.popErrorScope.bind(gpu.device);
  let left = 0;
  const scopes = vi.spyOn(gpu.device, 'popErrorScope').mockImplementation(async () => {
    const error = await pop();
    return --left === 0 ? ({ message: 'the driver refuses' } as GPUError) : error;
  });
  await start(model); // every kernel is compiled by now: what is left are programs
  const programs = scopes.mock.calls.length;
  expect(programs).toBeGreaterThan(0);
  for (let at = 1; at <= programs; at++) {
    left = at;
    await expect(start(model), `program ${at}`).rejects.toThrow('the driver refuses');
    expect(gpu.created.held, `program ${at}`).toBe(held);
  }
  await start(model);
  model.memory.destroy();
});

test.each(Object.entries(starts))('%s, at a kernel that does not compile', async (_, start) => {
  const provider =
    globalThis.navigator?.gpu ?? (await (await import('../cli/dawn.ts')).dawnProvider());
  const gpu = await createGpu(provider);
  const model = await modelOn(gpu);
  const { held } = gpu.created;
  vi.spyOn(gpu.device, 'createComputePipelineAsync').mockRejectedValueOnce(
    new Error('no pipeline'),
  );
  await expect(start(model)).rejects.toThrow(/Kernel .+ does not compile: .*no pipeline/);
  expect(gpu.created.held).toBe(held);
  model.memory.destroy();
  expect(gpu.created.held).toBe(0);
  gpu.destroy();
});

test.each(['a training', 'a search'])(
  '%s, at its starting values or its listener',
  async (name) => {
    const gpu = await testGpu();
    const model = await modelOn(gpu);
    const { held } = gpu.created;
    const init = () => Promise.reject(new Error('bad values'));
    await expect(starts[name](model, { init })).rejects.toThrow('bad values');
    const emit: StageLinks['emit'] = ({ type }) => {
      if (type === 'progress') throw new Error('the listener failed');
    };
    await expect(starts[name](model, { emit })).rejects.toThrow('the listener failed');
    expect(gpu.created.held).toBe(held);
    model.memory.destroy();
  },
);
