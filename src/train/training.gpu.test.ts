// Whole runs: 20 steps against PyTorch, bit-equal repeats, no GPU buffer after the first step,
// pause, stop, and failures that stop a run.

import { expect, test } from 'vitest';
import { allocationLimits } from '../adapters/methods/methods.ts';
import { siteDims } from '../allocation/allocation.ts';
import { parseAllocation } from '../allocation/files.ts';
import { bytesSource, folderOf, readAll } from '../data/source.ts';
import { openSafetensors, readF32 } from '../data/weights/safetensors.ts';
import { adapterFiles, extract, readAdapter, storeValues } from '../files/adapter-files.ts';
import { forwardLogits } from '../model/forward.ts';
import type { LoadedModel } from '../model/load.ts';
import {
  parseTrainingConfig,
  type RunConfigInput,
  type TrainingConfig,
} from '../settings/run-config.ts';
import { goldenModel, owned } from '../testing/fixtures.ts';
import { goldenFolder, goldenJson } from '../testing/golden.ts';
import { relativeError } from '../testing/gpu.ts';
import type { Row } from './batch.ts';
import { RunControl } from './control.ts';
import type { StageEvent, UpdateMetrics, ValidationMetrics } from './stage.ts';
import { type TrainingInput, TrainingStage } from './training.ts';

interface Fixture {
  model: LoadedModel;
  config: TrainingConfig;
  rows: Row[];
  input: TrainingInput;
}

async function fixture(name: string, change: RunConfigInput = {}): Promise<Fixture> {
  const folder = await goldenFolder(name);
  const model = await goldenModel(name);
  const given = await goldenJson<RunConfigInput>(name, 'run.json');
  const config = parseTrainingConfig(
    {
      ...given,
      ...change,
      train: { ...given.train, ...change.train },
      adapter: { ...given.adapter, ...change.adapter },
      data: { ...given.data, ...change.data },
    },
    'run.json',
  );
  const text = new TextDecoder().decode(await readAll(folder.open('data.jsonl')!));
  const rows = text
    .trim()
    .split('\n')
    .map((l) => JSON.parse(l) as { input_ids: number[]; labels: number[] })
    .map((r) => ({ ids: r.input_ids, labels: r.labels }));
  const adapter = await goldenFolder(`${name}/adapter`);
  const { entries } = await openSafetensors(adapter.open('adapter_model.safetensors')!);
  const allocation =
    typeof config.allocation === 'object'
      ? parseAllocation(
          {
            experts: await goldenJson(name, config.allocation.experts!),
            ranks: await goldenJson(name, config.allocation.ranks),
          },
          allocationLimits(config.adapter, model.config.layers),
        )
      : undefined;
  return {
    model,
    config,
    rows,
    input: {
      model,
      rows,
      config,
      allocation,
      init: (layout) => storeValues(layout, entries, 'init'),
    },
  };
}

async function run(input: TrainingInput): Promise<{
  stage: TrainingStage;
  steps: UpdateMetrics[];
  validations: ValidationMetrics[];
  values: Float32Array<ArrayBuffer>;
}> {
  const steps: UpdateMetrics[] = [];
  const validations: ValidationMetrics[] = [];
  const emit = (event: StageEvent) => {
    if (event.type === 'step') steps.push(event.metrics);
    if (event.type === 'validation') validations.push(event.metrics);
    input.emit?.(event);
  };
  const stage = owned(await TrainingStage.create({ ...input, emit }));
  await stage.run();
  return { stage, steps, validations, values: await stage.values() };
}

/** Calls `act` with the number of each step that is reported. */
const atStep = (act: (step: number) => void) => (event: StageEvent) => {
  if (event.type === 'step') act(event.metrics.step);
};

for (const name of ['train-moe', 'train-lora']) {
  test(`${name}: 20 steps follow PyTorch (loss within 1e-3 at every step, tensors within 1e-2), twice with the same bits`, async () => {
    const { input } = await fixture(name);
    const golden = await goldenJson<UpdateMetrics[]>(name, 'run.golden.json');
    const first = await run(input);
    expect(first.steps.length).toBe(20);
    first.steps.forEach((m, i) => {
      for (const key of ['loss', 'ce', 'lr'] as const)
        expect(Math.abs(m[key] - golden[i][key]), `${key} of step ${i + 1}`).toBeLessThan(1e-3);
      expect(
        Math.abs(m.grad_norm / golden[i].grad_norm - 1),
        `grad_norm of step ${i + 1}`,
      ).toBeLessThan(1e-2);
      expect(m.tokens).toBe(golden[i].tokens);
      if (name === 'train-moe') expect(Math.abs(m.balance - golden[i].balance)).toBeLessThan(2e-2);
    });
    const { entries } = await openSafetensors(
      (await goldenFolder(name)).open('final.safetensors')!,
    );
    for (const t of first.stage.layout.tensors) {
      const want = await readF32(entries.get(t.name)!);
      expect(relativeError(extract(t, first.values), want), t.name).toBeLessThan(1e-2);
    }
    const second = await run(input);
    expect(second.values).toEqual(first.values);
    expect(second.steps.map((s) => s.loss)).toEqual(first.steps.map((s) => s.loss));
  });
}

test('plain LoRA: logits equal PEFT within 1e-4, and a saved adapter loaded again gives the same bits', async () => {
  const { model, input } = await fixture('train-lora', { train: { steps: 3 } });
  const folder = await goldenFolder('train-lora');
  const { entries } = await openSafetensors(folder.open('golden.safetensors')!);
  const ids = await readF32OrInt(entries.get('input_ids')!);
  const want = await readF32(entries.get('logits')!);
  const dims = siteDims(model.config);
  const peft = await readAdapter(
    await goldenFolder('train-lora/adapter'),
    model.config.layers,
    dims,
  );
  const load = (a: typeof peft) => {
    a.layout.store.allocate(model.gpu, a.values);
    return forwardLogits(model, a.layout, ids);
  };
  const got = await load(peft);
  expect(Math.max(...got.map((v, i) => Math.abs(v - want[i])))).toBeLessThan(1e-4);
  const trained = await run(input);
  const before = await forwardLogits(model, trained.stage.layout, ids);
  expect(before).not.toEqual(got);
  const files = adapterFiles(trained.stage.layout, trained.values, 'base');
  const again = await readAdapter(
    folderOf(
      'saved',
      Object.entries(files).map(([n, b]) => bytesSource(b, n)),
    ),
    model.config.layers,
    dims,
  );
  expect(await load(again)).toEqual(before);
});

async function readF32OrInt(entry: Parameters<typeof readF32>[0]): Promise<number[][]> {
  const flat = new Int32Array((await entry.source.read(entry.start, entry.end)).buffer);
  const [rows, seqLen] = entry.shape;
  return Array.from({ length: rows }, (_, r) =>
    Array.from(flat.slice(r * seqLen, (r + 1) * seqLen)),
  );
}

test('a fresh adapter gives the base model’s logits bit for bit; LoRA-MoE files load back to the same bits', async () => {
  const { model, input } = await fixture('train-moe', {
    allocation: 'uniform',
    train: { steps: 2 },
    adapter: { experts: 4, rank: 3 },
  });
  const fresh = { ...input, allocation: undefined, init: undefined };
  const stage = owned(await TrainingStage.create(fresh));
  const ids = [
    [5, 9, 3, 3, 80, 41],
    [1, 2, 60, 4, 7, 12],
  ];
  const base = await forwardLogits(model, null, ids);
  expect(await forwardLogits(model, stage.layout, ids)).toEqual(base);
  await stage.run();
  const tuned = await forwardLogits(model, stage.layout, ids);
  expect(tuned).not.toEqual(base);
  // A token's output does not depend on its batch mates.
  expect((await forwardLogits(model, stage.layout, [ids[1]])).slice()).toEqual(
    tuned.slice(tuned.length / 2),
  );
  const files = adapterFiles(stage.layout, await stage.values(), 'base');
  const again = await readAdapter(
    folderOf(
      'saved',
      Object.entries(files).map(([n, b]) => bytesSource(b, n)),
    ),
    model.config.layers,
    siteDims(model.config),
  );
  again.layout.store.allocate(model.gpu, again.values);
  expect(await forwardLogits(model, again.layout, ids)).toEqual(tuned);
});

test('accumulating two micro-batches follows one big batch; dropout and shuffling are seeded', async () => {
  const { input, config } = await fixture('train-moe', {
    train: { steps: 4 },
    adapter: { balance: 0 },
  });
  const small = await run(input);
  const big = await run({
    ...input,
    config: { ...config, train: { ...config.train, microBatch: 4 } },
  });
  small.steps.forEach((s, i) => {
    expect(Math.abs(s.loss - big.steps[i].loss)).toBeLessThan(1e-5);
  });
  expect(relativeError(small.values, big.values)).toBeLessThan(1e-4);
  const random = (seed: number) => ({
    ...input,
    config: {
      ...config,
      seed,
      data: { ...config.data, shuffle: true },
      adapter: { ...config.adapter, dropout: 0.2 },
    },
  });
  const [a, b, c] = [await run(random(1)), await run(random(1)), await run(random(2))];
  expect(b.values).toEqual(a.values);
  expect(c.values).not.toEqual(a.values);
});

test('after the first step no GPU buffer is created; pausing and going on changes no bit; stopping keeps what was trained', async () => {
  const { input, config, model } = await fixture('train-moe', {
    train: { steps: 6, evaluateEvery: 2 },
    data: { validation: 0.25 },
  });
  const counts: number[] = [];
  const whole = await run({
    ...input,
    emit: atStep(() => counts.push(model.gpu.created.buffers)),
  });
  expect(whole.validations.map((v) => v.step)).toEqual([2, 4, 6]);
  expect(new Set(counts).size).toBe(1);
  const control = new RunControl();
  const phases: string[] = [];
  const paused = await run({
    ...input,
    control,
    emit: (event) => {
      if (event.type === 'step' && event.metrics.step === 2) control.pause();
      if (event.type !== 'phase') return;
      phases.push(event.phase);
      if (event.phase === 'paused') setTimeout(() => control.resume(), 20);
    },
  });
  expect(phases).toContain('paused');
  expect(paused.values).toEqual(whole.values);
  const stop = new RunControl();
  const stopped = await run({
    ...input,
    config: { ...config, train: { ...config.train, steps: 1000 } },
    control: stop,
    emit: atStep((step) => step === 3 && stop.stop()),
  });
  expect(stopped.stage.done).toBeGreaterThanOrEqual(3);
  expect(stopped.stage.done).toBeLessThan(10);
});

test('a validation waits when paused and changes nothing by it; a stop ends it, and no other of that step is made', async () => {
  const { input } = await fixture('train-moe', {
    data: { maxLength: 64, validation: 0.8 },
    train: { steps: 4, batch: 1, microBatch: 1, evaluateEvery: 2 },
  });
  const validating = async (act: (control: RunControl, done: number) => void) => {
    const control = new RunControl();
    const seen: number[] = [];
    const phases: string[] = [];
    const emit = (event: StageEvent) => {
      if (event.type === 'phase') phases.push(event.phase);
      if (event.type !== 'progress' || event.task !== 'validating') return;
      seen.push(event.done);
      act(control, event.done);
    };
    const { stage, validations } = await run({ ...input, control, emit });
    return {
      seen,
      phases,
      done: stage.done,
      validations: validations.map((v) => [v.step, v.validation_loss]),
    };
  };
  const whole = await validating(() => undefined);
  expect(whole.validations.map(([step]) => step)).toEqual([2, 4]);
  const rows = Math.max(...whole.seen);
  expect(rows).toBeGreaterThan(3);
  const paused = await validating((control, done) => {
    if (done !== 1) return;
    control.pause();
    setTimeout(() => control.resume(), 20);
  });
  expect(paused.validations).toEqual(whole.validations);
  expect(paused.phases.join()).toContain('evaluating,paused,evaluating');
  // In the first one, after step 2: the run ends there.
  const early = await validating((control, done) => done === 1 && control.stop());
  expect([early.validations, early.seen, early.done]).toEqual([[], [0, 1], 2]);
  // Stopped in training, which is followed by a last validation; stopped in that, too.
  let steps = 0;
  const late = await validating((control, done) => {
    if (done === 0) steps++;
    if (steps === 2 && done === 1) control.stop();
  });
  expect([late.validations.map(([step]) => step), late.seen.slice(-2), late.done]).toEqual([
    [2],
    [0, 1],
    4,
  ]);
});

test('a run whose loss is not finite stops with the step named, before any update from it', async () => {
  const { input } = await fixture('train-moe', {
    train: { steps: 50, learningRate: 1e30, clipNorm: null },
  });
  const stage = owned(await TrainingStage.create(input));
  await expect(stage.run()).rejects.toThrow(/Step \d+ gave a loss of/);
  expect((await stage.values()).every((v) => Number.isFinite(v))).toBe(true);
});

/** Stops after so many turns of a stage's loop. */
class StopAfter extends RunControl {
  constructor(private turns: number) {
    super();
  }
  override async gate(): Promise<boolean> {
    return this.turns-- > 0;
  }
}

/** Values, moments and losses of a training that goes through, or stops after `k` steps and goes on. */
async function stopped(input: TrainingInput, k: number) {
  const first = await run({ ...input, control: new StopAfter(k) });
  expect(first.stage.done).toBe(k);
  const state = structuredClone(await first.stage.state());
  const steps: UpdateMetrics[] = [];
  const emit = (event: StageEvent) => event.type === 'step' && steps.push(event.metrics);
  const stage = owned(await TrainingStage.create({ ...input, emit }));
  stage.restore(state);
  await stage.run();
  return { stage, state, steps: [...first.steps, ...steps] };
}

const figures = (steps: UpdateMetrics[]) => steps.map(({ seconds, ...others }) => others);

test('stopped at any step and put into a fresh stage, a training ends with the same bits', async () => {
  const { input, config } = await fixture('train-moe', {
    train: { steps: 7, schedule: 'cosine', warmupSteps: 2 },
    adapter: { dropout: 0.2 },
    data: { shuffle: true },
  });
  expect(config.train.batch).toBeGreaterThan(config.train.microBatch);
  const whole = await run(input);
  const end = await whole.stage.state();
  for (const k of [1, 4]) {
    const again = await stopped(input, k);
    expect(again.state.numbers).toMatchObject({ position: k, halt: 0 });
    expect((await again.stage.state()).tensors).toEqual(end.tensors);
    expect(figures(again.steps)).toEqual(figures(whole.steps));
    const seconds = again.steps.map((m) => m.seconds);
    expect(seconds).toEqual([...seconds].sort((a, b) => a - b));
  }
  const fresh = owned(await TrainingStage.create(input));
  expect(() => fresh.restore({ ...end, tensors: {} })).toThrow('the state has no adapter.value');
  fresh.destroy();
});

test('rows change at the given step, also for a stage that was stopped before it', async () => {
  const { input } = await fixture('train-moe', { train: { steps: 6 } });
  const rows = Array.from({ length: 10 }, (_, r) => {
    const ids = Array.from({ length: 3 + 2 * r }, (_, t) => (7 * r + 3 * t) % 64);
    return { ids, labels: ids };
  });
  const [first, second] = [rows.slice(0, 5), rows.slice(5)];
  const later = [{ from: 3, rows: second }];
  const alone = await run({ ...input, rows: first });
  const both = await run({ ...input, rows: first, later });
  expect(figures(both.steps.slice(0, 3))).toEqual(figures(alone.steps.slice(0, 3)));
  // From step 3 on the second rows come from their first one on.
  const tokens = (from: Row[], step: number) => {
    const { batch } = input.config.train;
    const row = (i: number) => from[(step * batch + i) % from.length].ids.length;
    return Array.from({ length: batch }, (_, i) => row(i)).reduce((a, b) => a + b);
  };
  const expected = [first, second].flatMap((from) => [0, 1, 2].map((s) => tokens(from, s)));
  expect(both.steps.map((m) => m.tokens)).toEqual(expected);
  const end = await both.stage.state();
  for (const k of [2, 3, 5]) {
    const again = await stopped({ ...input, rows: first, later }, k);
    expect((await again.stage.state()).tensors).toEqual(end.tensors);
  }
});
