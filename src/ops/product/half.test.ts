// Half precision without a device that has it: the arithmetic of the halves, who gets it, and that
// nothing does unasked. The kernels are tested where shader-f16 is (`npm run prove -- f16`).
import { expect, test } from 'vitest';
import { imagined } from '../../gpu/variants.ts';
import { blank, variantFor } from '../../graph/family.ts';
import { inHalves } from '../../reference/product.ts';
import { values } from '../../testing/gpu.ts';
import { inPrecision, presets } from '../families.ts';
import type { Product } from './case.ts';
import { products } from './product.ts';

test('a high and a low half keep 21 bits and more of what half precision can hold', () => {
  for (const size of [1e-4, 0.03, 1, 50, 6e4])
    for (const v of values(1, 2000, size)) {
      const error = Math.abs(inHalves(v) - v);
      // Below 2⁻¹⁴ a high half is a denormal number, whose last bit is 2⁻²⁴.
      expect(error).toBeLessThanOrEqual(Math.max(Math.abs(v) * 2 ** -21, 2 ** -24));
    }
  expect(inHalves(1 / 3)).not.toBe(1 / 3);
  expect(inHalves(0)).toBe(0);
});

const of = (m: number, n: number, k: number, left: 'row' | 'col' = 'row'): Product => {
  const a = blank('a', ...(left === 'row' ? [m, k] : [k, m]));
  return {
    ...{ m, n, k },
    left: { tensor: a, stride: a.shape[1], order: left },
    right: { tensor: blank('b', n, k), stride: k, order: 'row' },
    out: { tensor: blank('c', m, n), stride: n },
  };
};
const kernelOf = (variants: ReturnType<typeof imagined>, p: Product) =>
  variantFor(variants, products, [p]).name;

test('fast gives large products half precision, and no others; exact changes nothing', () => {
  const variants = imagined({ ...presets.gpu, 'product/narrow': 'register' });
  expect(inPrecision(variants, 'exact')).toEqual(variants);
  const fast = inPrecision(variants, 'fast');
  expect(kernelOf(fast, of(128, 576, 576))).toBe('half');
  expect(kernelOf(fast, of(1, 576, 576))).toBe('half');
  expect(kernelOf(fast, of(128, 8, 576))).toBe('register');
  expect(kernelOf(fast, of(8, 576, 128, 'col'))).toBe('tile');
  expect(kernelOf(variants, of(128, 576, 576))).toBe('tile');
});

test('a device without half floats refuses it by name', () => {
  const variants = imagined(presets.gpu);
  const without = { ...variants, device: { ...variants.device, f16: false } };
  expect(() => inPrecision(without, 'fast')).toThrow('precision is "fast"');
  expect(inPrecision(without, 'exact')).toEqual(without);
});
