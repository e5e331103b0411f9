// A search as a session: pausing changes no bit, a seed decides, lower-only pairs leave the GSVs,
// dropout, bad data, non-finite numbers, no buffers made on the way.

import { expect, test } from 'vitest';
import { parseRunConfig, type RunConfigInput, searches } from '../../settings/run-config.ts';
import { goldenModel, owned } from '../../testing/fixtures.ts';
import { RunControl } from '../control.ts';
import type { StageEvent, StageState, UpdateMetrics, UpperMetrics } from '../stage.ts';
import { type SearchInput, SearchStage } from './stage.ts';

const search = {
  steps: 6,
  batch: 4,
  microBatch: 2,
  learningRate: 1e-2,
  upperLearningRate: 0.1,
} as const;
const adapter = {
  targets: ['q_proj', 'v_proj', 'down_proj'],
  rank: 3,
  experts: 4,
  alpha: 6,
  dropout: 0,
} as const;

async function inputOf(change: RunConfigInput = {}): Promise<SearchInput> {
  const model = await goldenModel('train-moe');
  const settings = {
    data: { validation: 0.2 },
    ...change,
    adapter: { ...adapter, targets: [...adapter.targets], ...change.adapter },
    search: { ...search, ...(change.search || {}) },
  };
  const config = parseRunConfig(settings, 'test');
  if (!searches(config)) throw new Error('the settings have a search');
  const rows = Array.from({ length: 20 }, (_, r) => {
    const ids = Array.from(
      { length: 5 + (r % 7) },
      (_, t) => (3 + 5 * r + 7 * t) % model.config.vocab,
    );
    return { ids, labels: ids };
  });
  return { model, rows, config };
}

async function run(input: SearchInput, onUpper: (step: number) => void = () => undefined) {
  const upper: { metrics: UpperMetrics | null; values: Float32Array }[] = [];
  const lower: UpdateMetrics[] = [];
  const phases: string[] = [];
  const emit = (event: StageEvent) => {
    if (event.type === 'phase') phases.push(event.phase);
    if (event.type === 'step') lower.push(event.metrics);
    if (event.type !== 'upper') return;
    upper.push(event);
    onUpper(event.metrics?.step ?? 0);
  };
  const stage = owned(await SearchStage.create({ ...input, emit }));
  await stage.run();
  const values = await stage.values();
  const allocation = await stage.selection();
  return { upper, lower, phases, values, allocation, done: stage.done };
}

test.each([
  ['argmax', {}],
  [
    'sampled, budget, closable, second-order',
    { sizes: 'sampled', budget: 0.3, closable: true, order: 'second-order' },
  ],
] as const)(
  '%s: pausing changes no bit, and another seed gives another search',
  async (_, options) => {
    const input = await inputOf({ search: options });
    const whole = await run(input);
    expect(whole.done).toBe(6);
    expect(whole.upper.map((u) => u.metrics?.step ?? 0)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(whole.lower.map((m) => m.step)).toEqual([1, 2, 3]);
    expect(whole.upper[6].values).not.toEqual(whole.upper[0].values);
    const control = new RunControl();
    const paused = await run({ ...input, control }, (step) => {
      if (step !== 2) return;
      control.pause();
      setTimeout(() => control.resume(), 50);
    });
    expect(paused.phases).toContain('paused');
    expect(paused.values).toEqual(whole.values);
    paused.upper.forEach((u, i) => {
      expect(u.values).toEqual(whole.upper[i].values);
    });
    expect(paused.allocation).toEqual(whole.allocation);
    const other = await run({ ...input, config: { ...input.config, seed: 2 } });
    expect(other.values.upper).not.toEqual(whole.values.upper);
  },
);

test('stopped: what the GSVs say so far', async () => {
  const input = await inputOf({ search: { steps: 500 } });
  const control = new RunControl();
  const { done, allocation } = await run(
    { ...input, control },
    (step) => step === 3 && control.stop(),
  );
  expect(done).toBeGreaterThanOrEqual(3);
  expect(done).toBeLessThan(20);
  expect(Object.keys(allocation.experts).length).toBe(3 * input.model.config.layers);
});

test('lower-only pairs come first, train the lower level and leave the GSVs', async () => {
  const input = await inputOf({ search: { lowerOnlySteps: 4, steps: 2 } });
  const first = await run(input);
  expect(first.lower.map((m) => m.step)).toEqual([1, 2, 3]);
  expect(first.upper.length).toBe(3);
  // With an upper learning rate of 0 nothing else moves them either.
  const still = await run(
    await inputOf({ search: { lowerOnlySteps: 4, steps: 2, upperLearningRate: 0 } }),
  );
  expect(still.upper[2].values).toEqual(still.upper[0].values);
  expect(still.upper[0].values).toEqual(first.upper[0].values);
});

test('dropout acts in the lower level alone: the first upper loss is the same, the lower losses differ', async () => {
  const plain = await run(await inputOf());
  const dropped = await run(await inputOf({ adapter: { dropout: 0.5 } }));
  expect(dropped.upper[1].metrics!.upper_loss).toBe(plain.upper[1].metrics!.upper_loss);
  expect(dropped.lower[0].loss).not.toBe(plain.lower[0].loss);
});

test('a learning rate that blows up ends the search with an error that names it', async () => {
  const input = await inputOf({ search: { learningRate: 1e20, clipNorm: null, steps: 20 } });
  await expect(run(input)).rejects.toThrow(/search\.learningRate \(100000000000000000000\)/);
});

test('too few rows for both levels', async () => {
  const input = await inputOf();
  await expect(SearchStage.create({ ...input, rows: input.rows.slice(0, 3) })).rejects.toThrow(
    /fewer than search\.microBatch 2/,
  );
  await expect(SearchStage.create({ ...input, rows: [] })).rejects.toThrow('no rows to train on');
});

test('after the first step the device makes no buffer, rings of statistics aside', async () => {
  const input = await inputOf({ search: { order: 'second-order' } });
  const { device } = input.model.gpu;
  const create = device.createBuffer.bind(device);
  const made: string[] = [];
  let started = false;
  device.createBuffer = (d: GPUBufferDescriptor) => {
    if (started) made.push(d.label ?? '');
    return create(d);
  };
  try {
    await run(input, (step) => {
      started = step > 0 && step < 6;
    });
    expect(made).toEqual([]);
  } finally {
    device.createBuffer = create;
  }
});

/** Stops after so many pairs. */
class StopAfter extends RunControl {
  constructor(private pairs: number) {
    super();
  }
  override async gate(): Promise<boolean> {
    return this.pairs-- > 0;
  }
}

test.each([
  ['first order', { order: 'first-order' }],
  ['first order, sampled, budget', { sizes: 'sampled', budget: 0.3, order: 'first-order' }],
  [
    'second order, sampled, budget, closable',
    { sizes: 'sampled', budget: 0.3, closable: true, order: 'second-order' },
  ],
  ['second order after lower-only pairs', { order: 'second-order', lowerOnlySteps: 3 }],
] as const)(
  '%s: stopped at any pair and put into a fresh stage, a search ends with the same bits',
  async (_, options) => {
    const input = await inputOf({ search: options, adapter: { dropout: 0.2 } });
    const go = async (at: Partial<SearchInput>, state?: StageState) => {
      const events: StageEvent[] = [];
      const emit = (event: StageEvent) => events.push(event);
      const stage = owned(await SearchStage.create({ ...input, ...at, emit }));
      if (state) stage.restore(state);
      await stage.run();
      const end = structuredClone(await stage.state());
      const upper = events.flatMap((e) => (e.type === 'upper' ? [e.values] : []));
      const losses = events.flatMap((e) => (e.type === 'step' ? [e.metrics.loss] : []));
      return { end, upper, losses };
    };
    const whole = await go({});
    for (const k of [2, 5]) {
      const first = await go({ control: new StopAfter(k) });
      expect(first.end.numbers.position).toBe(k);
      const rest = await go({}, first.end);
      const { seconds, ...numbers } = rest.end.numbers;
      expect(whole.end.numbers).toMatchObject(numbers);
      expect(rest.end.tensors).toEqual(whole.end.tensors);
      expect([...first.upper, ...rest.upper]).toEqual(whole.upper);
      expect([...first.losses, ...rest.losses]).toEqual(whole.losses);
    }
  },
);
