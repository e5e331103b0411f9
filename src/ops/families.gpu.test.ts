// The choice of kernels: fixed on 4-lane subgroups, measured elsewhere, the same for every later
// caller; and how a measurement chooses.
import { expect } from 'vitest';
import type { Gpu } from '../gpu/device.ts';
import { defineKernel } from '../gpu/kernel.ts';
import type { Clock } from '../graph/clock.ts';
import { blank, type Family, sample, type Variant } from '../graph/family.ts';
import type { Tensor } from '../graph/tensor.ts';
import { tune } from '../graph/tune.ts';
import { test } from '../testing/fixtures.ts';
import { openGpu } from '../testing/gpu.ts';
import type { ChoiceStore } from './choice-store.ts';
import { chooseVariants, families, presets, SMOLLM2, withChoice } from './families.ts';

type Doubling = { x: Tensor; y: Tensor };

/** y = 2x, 64 elements a workgroup, after so many rounds of idle work. */
const doubling = (name: string, rounds: number, factor = '2.0'): Variant<Doubling> => ({
  name,
  can: () => true,
  record: (rec, { x, y }) =>
    rec.launch({
      kernel: defineKernel(
        `double (${name})`,
        `// uses: grid
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let i = flat_index(grid);
  var v = x[i];
  for (var round = 0; round < ${rounds}; round++) { v = sin(v); }
  y[i] = ${factor} * x[i] + select(0.0, 1.0, v > 2.0);
}`,
      ),
      tensors: { x, y },
      workgroups: 64,
    }),
});

const toys: Family<Doubling> = {
  name: 'toy',
  variants: [
    doubling('slow', 4000),
    doubling('fast', 1000),
    doubling('wrong', 0, '3.0'),
    doubling('broken', 0, 'two'),
  ],
  bench: () => {
    const [x, y] = [sample('x', 4096), blank('y', 4096)];
    return [{ name: 'all', c: { x, y }, out: [y] }];
  },
  key: () => 'all',
};

test('a variant is chosen that compiles, is right and clearly faster than the preferred one', async ({
  gpu,
}) => {
  expect(await tune(gpu, toys, 'slow', SMOLLM2)).toEqual({ 'toy/all': 'fast' });
  expect(await tune(gpu, toys, 'fast', SMOLLM2)).toEqual({});
});

test('a preferred variant that is wrong gives way to the first one, though nothing else is timed', async ({
  gpu,
}) => {
  const [oracle, , wrong] = toys.variants;
  const family = { ...toys, variants: [{ ...oracle, suits: () => false }, wrong] };
  expect(await tune(gpu, family, 'wrong', SMOLLM2)).toEqual({ 'toy/all': 'slow' });
});

/** A clock that says how long each variant takes, replay by replay; all are long enough. */
function fakeClock(says: (variant: string, replay: number) => number): Clock {
  let replay = 0;
  return {
    name: 'wall clock',
    least: 0,
    async time(program) {
      program.replay();
      const [command] = program.commands;
      const label = command.type === 'dispatch' ? command.kernel.name : '';
      return says(/\((\w+)\)/.exec(label)?.[1] ?? '', replay++);
    },
  };
}

test('noise never flips the choice, and a wrong result never wins', async ({ gpu }) => {
  const choice = (says: (variant: string, replay: number) => number) =>
    tune(gpu, toys, 'slow', SMOLLM2, { clock: fakeClock(says) });
  // twice as fast, always
  expect(await choice((v) => (v === 'fast' ? 5 : 10))).toEqual({ 'toy/all': 'fast' });
  // the same, but for noise of 40 % that happens to help
  const noise = (replay: number) => 1 + 0.4 * Math.abs(Math.sin(7 * replay + 1));
  expect(await choice((_, replay) => 10 * noise(replay))).toEqual({});
  // faster by less than a fifth
  expect(await choice((v) => (v === 'fast' ? 8.5 : 10))).toEqual({});
  // faster, but for one replay
  expect(await choice((v, replay) => (v === 'fast' && replay % 4 !== 3 ? 1 : 10))).toEqual({});
  // wrong in no time
  expect(await choice((v) => (v === 'wrong' ? 0.001 : 10))).toEqual({});
  // no time left
  const late = { clock: fakeClock((v) => (v === 'fast' ? 1 : 10)), until: 0 };
  expect(await tune(gpu, toys, 'slow', SMOLLM2, late)).toEqual({});
});

test('a choice is remembered by device, environment and sizes; a broken file is written anew', async ({
  own,
}) => {
  let text: string | null = 'no JSON';
  const store = (environment: string): ChoiceStore => ({
    environment,
    read: async () => text,
    write: async (written) => {
      text = written;
    },
  });
  const fresh = async (): Promise<Gpu> =>
    own({ ...(await openGpu()), subgroup: { min: 32, max: 32 } });
  const { names } = await chooseVariants(await fresh(), SMOLLM2, store('Browser 1'));
  expect(Object.values(JSON.parse(text))).toEqual([names]);
  // what is remembered is taken as it is, without measuring
  const [key] = Object.keys(JSON.parse(text));
  text = JSON.stringify({ [key]: { ...names, rows: 'thread' } });
  const again = await chooseVariants(await fresh(), SMOLLM2, store('Browser 1'));
  expect(again.names).toEqual({ ...names, rows: 'thread' });
  // another browser and other sizes have choices of their own, and so has an unknown kernel
  await chooseVariants(await fresh(), SMOLLM2, store('Browser 2'));
  await chooseVariants(await fresh(), { ...SMOLLM2, hidden: 64 }, store('Browser 1'));
  expect(Object.keys(JSON.parse(text))).toHaveLength(3);
  text = JSON.stringify({ [key]: { ...names, rows: 'gone' } });
  expect((await chooseVariants(await fresh(), SMOLLM2, store('Browser 1'))).names).toEqual(names);
});

test('4-lane subgroups get their kernels unmeasured', async ({ gpu, skip }) => {
  if (gpu.subgroup?.max !== 4) skip('other subgroups');
  expect((await chooseVariants(gpu)).names).toEqual(presets.cpu);
});

test('elsewhere the choice is measured, once a device', async ({ own }) => {
  const gpu: Gpu = own({ ...(await openGpu()), subgroup: null });
  const { names } = await chooseVariants(gpu);
  expect(chooseVariants(gpu)).toBe(chooseVariants(gpu));
  expect(names).toMatchObject(presets.gpu);
  for (const [key, name] of Object.entries(names)) {
    const family = families.find((f) => f.name === key.split('/')[0])!;
    expect(family.variants.map((v) => v.name)).toContain(name);
  }
  gpu.check();
});

test('kernels of software renderers are not considered where subgroups are wide', async ({
  own,
}) => {
  const gpu: Gpu = own({ ...(await openGpu()), subgroup: { min: 32, max: 32 } });
  expect((await chooseVariants(gpu)).names).toEqual(presets.gpu);
});

test('given kernels replace chosen ones; those that a device cannot run are refused', async ({
  gpu,
}) => {
  const { names } = await withChoice(gpu, presets.gpu, '--kernels');
  expect(names).toEqual(presets.gpu);
  const none: Gpu = { ...gpu, subgroup: null };
  await expect(withChoice(none, presets.cpu, '--kernels')).rejects.toThrow(
    /^--kernels: .* cannot run product=subgroup\.$/,
  );
});
