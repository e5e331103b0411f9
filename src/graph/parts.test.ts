// The parts of a long launch: all workgroups, each once, none with more work than it may have.
import { expect, test } from 'vitest';
import { cut } from './parts.ts';

const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);

test.each([
  [100, 64, false, 100, 1],
  [100, 64, false, 30, 4],
  [100, 64, true, 30, 4],
  [100, 512, true, 9, 12],
  [100, 3, false, 1, 3], // a workgroup each, whatever it has
])('%d flops in %d workgroups, falling: %s, in parts of %d', (flops, groups, falling, most, n) => {
  const parts = cut(flops, groups, falling, most);
  expect(parts.length).toBe(n);
  expect(parts[0].first).toBe(0);
  parts.forEach((p, i) => {
    expect(p.first + p.count).toBe(parts[i + 1]?.first ?? groups);
    if (n < groups) expect(p.flops).toBeLessThanOrEqual(most);
  });
  expect(sum(parts.map((p) => p.flops))).toBeCloseTo(flops);
  // Where work falls, the first parts have fewer workgroups.
  if (falling) expect(parts[0].count).toBeLessThan(parts[n - 1].count);
});
