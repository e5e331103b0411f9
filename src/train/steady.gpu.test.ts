// Once a stage has been set up, its steps make nothing on the device; and how much a submit may hold
// comes from steps that the device has finished, not from those that only the host has.
import { afterEach, expect, vi } from 'vitest';
import { Program } from '../graph/program.ts';
import { parseRunConfig, searches, trains } from '../settings/run-config.ts';
import { test } from '../testing/fixtures.ts';
import { SearchStage } from './search/stage.ts';
import type { StageEvent } from './stage.ts';
import { TrainingStage } from './training.ts';

afterEach(() => vi.restoreAllMocks());

const rows = Array.from({ length: 24 }, (_, r) => {
  const ids = Array.from({ length: 5 + (r % 7) }, (_, t) => (3 + 5 * r + 7 * t) % 97);
  return { ids, labels: ids };
});
const config = parseRunConfig(
  {
    adapter: { experts: 3, rank: 2 },
    data: { validation: 0.2 },
    search: { steps: 5, batch: 4, microBatch: 2, order: 'second-order' },
    train: { steps: 6, batch: 4, microBatch: 2, evaluateEvery: 2 },
  },
  'test',
);
if (!searches(config) || !trains(config)) throw new Error('the settings have both stages');
const trained = { ...config, allocation: 'uniform' as const };

/** What a stage makes as it begins: rings of statistics, and what the first GSVs are read through. */
const ring = [0, 1, 2].map((i) => `ring ${i}`);

test.for([
  ['training, with evaluations', TrainingStage, ring],
  ['a search', SearchStage, [...ring, ...ring, 'staging']],
] as const)(
  '%s makes no buffer, bind group or pipeline in a step',
  async (of, { gpu, load, own }) => {
    const [, Kind, rings] = of;
    const model = await load('train-moe');
    const steps: StageEvent[] = [];
    const emit = (event: StageEvent) => {
      if (event.type === 'step' || event.type === 'validation') steps.push(event);
    };
    const stage =
      Kind === TrainingStage
        ? await TrainingStage.create({ model, rows, config: trained, emit })
        : await SearchStage.create({ model, rows, config, emit });
    own(stage);
    const buffers = vi.spyOn(gpu.device, 'createBuffer');
    const others = (
      ['createBindGroup', 'createComputePipeline', 'createComputePipelineAsync'] as const
    ).map((name) => vi.spyOn(gpu.device, name));
    await stage.run();
    expect(buffers.mock.calls.map(([{ label }]) => label)).toEqual(rings);
    expect(others.map((calls) => calls.mock.calls.length)).toEqual([0, 0, 0]);
    const reported = steps.map(({ type }) => type);
    if (Kind === TrainingStage) expect(reported.filter((t) => t === 'validation')).toHaveLength(3);
    expect(reported.filter((t) => t === 'step').length).toBeGreaterThanOrEqual(2);
  },
);

test('a submit is cautious until the device has finished a step', async ({ load, own }) => {
  const model = await load('train-moe');
  const replay = vi.spyOn(Program.prototype, 'replay');
  const before: number[] = [];
  const emit = (event: StageEvent) => {
    if (event.type === 'step') before.push(replay.mock.calls.length);
  };
  const data = { ...trained.data, validation: 0 };
  const stage = own(
    await TrainingStage.create({ model, rows, config: { ...trained, data }, emit }),
  );
  const from = replay.mock.calls.length;
  await stage.run();
  const limits = replay.mock.calls.map(([options]) => options?.flopsPerSubmit);
  // Three steps are on their way before the first is reported: two micro-batches and an update each.
  expect(before[0] - from).toBeGreaterThanOrEqual(3 * 3);
  expect(limits.slice(from, before[0])).toEqual(Array(before[0] - from).fill(undefined));
  expect(limits.at(-1)).toBeGreaterThan(0);
});
