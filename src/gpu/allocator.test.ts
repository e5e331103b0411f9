// What an allocator counts and frees.
import { expect, test } from 'vitest';
import { dryGpu } from './device.ts';

test('an allocator frees what it and its children made, once each; the peak and its categories stay', () => {
  const { allocator, created } = dryGpu();
  const kept = allocator.create('weights', 'w', 1000);
  const child = allocator.child();
  const grandchild = child.child();
  child.create('adapter', 'a', 40);
  const early = grandchild.create('other', 'o', 6); // rounded up
  grandchild.free(early);
  grandchild.free(early);
  allocator.free(early); // not its own
  expect([created.held, created.buffers, created.peak]).toEqual([1040, 3, 1048]);
  grandchild.create('activations', 'x', 4);
  child.destroy();
  child.destroy();
  expect(created.held).toBe(1000);
  const { bytes, total, largest } = created.atPeak();
  expect(bytes).toMatchObject({ weights: 1000, adapter: 40, other: 8, activations: 0 });
  expect([total, largest]).toEqual([1048, { name: 'w', bytes: 1000 }]);
  allocator.free(kept);
  expect(created.held).toBe(0);
});

test('a buffer that was adopted is freed by its new owner', () => {
  const { allocator, created } = dryGpu();
  const [a, b] = [allocator.child(), allocator.child()];
  const buffer = allocator.create('cache', 'keys', 64);
  a.adopt(buffer, allocator);
  b.destroy();
  allocator.free(buffer);
  expect(created.held).toBe(64);
  a.destroy();
  expect(created.held).toBe(0);
});
