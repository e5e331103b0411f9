// The parameter store: aligned banks, their gradients, whole-buffer views, and its buffers.
import { expect } from 'vitest';
import { test } from '../testing/fixtures.ts';
import { ParamStore } from './params.ts';
import { sizeOf } from './tensor.ts';

test('banks begin at multiples of 256 bytes and have their gradient at the same place', () => {
  const store = new ParamStore();
  const [a, b] = [store.add('a', [3, 5]), store.add('b', [64, 2])];
  expect([a.offset, b.offset, store.size]).toEqual([0, 64, 64 + 128]);
  for (const bank of [a, b]) {
    expect(bank.gradient).toMatchObject({ kind: 'grad', offset: bank.offset, shape: bank.shape });
    expect(store.has(bank)).toBe(true);
  }
  expect(new ParamStore().has(a)).toBe(false);
  expect(() => store.add('a', [1])).toThrow(/bank a exists/);
  for (const view of Object.values(store.flat())) expect(sizeOf(view)).toBe(store.size);
});

test('values are written and read whole; moments and gradients start at 0', async ({
  gpu,
  own,
}) => {
  const store = own(new ParamStore());
  const bank = store.add('a', [3, 5]);
  expect(() => store.read(gpu, 'value')).toThrow(/not allocated/);
  const values = Float32Array.from({ length: store.size }, (_, i) => i / 2);
  const before = gpu.created.held;
  store.allocate(gpu, values);
  expect(gpu.created.held - before).toBe(4 * store.bytes);
  expect(await store.read(gpu, 'value')).toEqual(values);
  for (const part of ['grad', 'm', 'v'] as const)
    expect(await store.read(gpu, part)).toEqual(new Float32Array(store.size));
  const { value, m } = store.flat();
  expect(store.bufferOf(bank)).toBe(store.bufferOf(value));
  expect(store.bufferOf(bank)).not.toBe(store.bufferOf(m));
  expect(() => store.allocate(gpu)).toThrow(/allocated already/);
  expect(() => store.write(gpu, 'value', new Float32Array(3))).toThrow(/not all values/);
  store.destroy();
  expect(gpu.created.held).toBe(before);
});
