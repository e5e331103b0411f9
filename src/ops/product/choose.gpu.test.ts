// The measured choice: fixed on 4-lane subgroups, measured elsewhere, wider subgroups included, the
// same for every later caller.
import { expect, test } from 'vitest';
import { createGpu, type Gpu } from '../../gpu/device.ts';
import { testGpu } from '../../testing/gpu.ts';
import { chooseVariants } from './choose.ts';

test('4-lane subgroups get their kernel; a device without them gets a measured one that is remembered', async () => {
  const gpu = await testGpu();
  const here = await chooseVariants(gpu);
  if (gpu.subgroup?.min === 4 && gpu.subgroup.max === 4)
    expect(here).toEqual({ product: 'subgroup', rows: 'thread' });
  const provider =
    typeof navigator !== 'undefined' && navigator.gpu
      ? navigator.gpu
      : await (await import('../../cli/dawn.ts')).dawnProvider();
  const other = async (subgroup: Gpu['subgroup']) => {
    const gpu: Gpu = { ...(await createGpu(provider)), subgroup };
    const chosen = await chooseVariants(gpu);
    expect(chooseVariants(gpu)).toBe(chooseVariants(gpu));
    gpu.check();
    gpu.destroy();
    return chosen;
  };
  expect(['tile', 'register']).toContain((await other(null)).product);
  // As if subgroups were wider: on a software renderer the lanes that share rows win, or the
  // register kernel where that is as fast.
  if (gpu.subgroup && gpu.software) expect((await other({ min: 8, max: 8 })).rows).toBe('thread');
});
