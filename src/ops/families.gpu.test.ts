// The choice of kernels: fixed on 4-lane subgroups, measured elsewhere, the same for every later
// caller; and how a measurement chooses.
import { expect } from 'vitest';
import type { Gpu } from '../gpu/device.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { blank, type Family, sample, type Variant } from '../graph/family.ts';
import type { Tensor } from '../graph/tensor.ts';
import { tune } from '../graph/tune.ts';
import { test } from '../testing/fixtures.ts';
import { openGpu } from '../testing/gpu.ts';
import { chooseVariants, families, presets, withChoice } from './families.ts';

type Doubling = { x: Tensor; y: Tensor };

/** y = 2x, 64 elements a workgroup, after so many rounds of idle work. */
const doubling = (name: string, rounds: number, factor = 2): Variant<Doubling> => ({
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
  y[i] = ${factor}.0 * x[i] + select(0.0, 1.0, v > 2.0);
}`,
      ),
      tensors: { x, y },
      workgroups: 64,
    }),
});

const toys: Family<Doubling> = {
  name: 'toy',
  variants: [doubling('slow', 4000), doubling('fast', 1000), doubling('wrong', 0, 3)],
  bench: () => {
    const [x, y] = [sample('x', 4096), blank('y', 4096)];
    return [{ name: 'all', c: { x, y }, out: [y] }];
  },
  key: () => 'all',
};

test('a variant is chosen that is right and clearly faster than the preferred one', async ({
  gpu,
}) => {
  expect(await tune(gpu, toys, 'slow')).toEqual({ 'toy/all': 'fast' });
  expect(await tune(gpu, toys, 'fast')).toEqual({});
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
