// The measured choice: fixed on 4-lane subgroups, measured elsewhere, the same for every later caller.
import { expect, test } from 'vitest';
import { createGpu, type Gpu } from '../../gpu/device.ts';
import { testGpu } from '../../testing/gpu.ts';
import { chooseVariants } from './choose.ts';

test('4-lane subgroups get their kernel; a device without them gets a measured one that is remembered', async () => {
  const gpu = await testGpu();
  const here = await chooseVariants(gpu);
  if (gpu.subgroup?.min === 4 && gpu.subgroup.max === 4) expect(here).toEqual({ product: 'subgroup', rows: 'thread' });
  const provider =
    typeof navigator !== 'undefined' && navigator.gpu ? navigator.gpu : await (await import('../../cli/dawn.ts')).dawnProvider();
  const plain: Gpu = { ...(await createGpu(provider)), subgroup: null };
  const chosen = await chooseVariants(plain);
  expect(['tile', 'register']).toContain(chosen.product);
  expect(chooseVariants(plain)).toBe(chooseVariants(plain));
  plain.check();
  plain.destroy();
});
