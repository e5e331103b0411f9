// The running mean of routing shares, and what counts as dead.
import { expect, test } from 'vitest';
import { isDead, RecentRouting } from './recent-routing.ts';

const sites = [
  { path: 'model.layers.0.self_attn.q_proj', experts: 2 },
  { path: 'model.layers.0.self_attn.k_proj', experts: 0 },
  { path: 'model.layers.0.self_attn.v_proj', experts: 1 },
];

test('the first batches are averaged plainly', () => {
  const routing = new RecentRouting(sites);
  for (const a of [1, 0.5, 0]) routing.append([a, 1 - a, 1]);
  expect(Array.from(routing.shares)).toEqual([expect.closeTo(0.5, 6), expect.closeTo(0.5, 6), 1]);
  expect(routing.batches).toBe(3);
});

test('old batches fade: an expert that stops being used is dead after some sixty batches', () => {
  const routing = new RecentRouting(sites);
  for (let i = 0; i < 20; i++) routing.append([0.5, 0.5, 1]);
  for (let i = 0; i < 58; i++) routing.append([1, 0, 1]);
  expect(isDead(routing.shares[1], 2)).toBe(false);
  expect(routing.shares[1]).toBeCloseTo(0.5 * 0.95 ** 58, 6);
  for (let i = 0; i < 2; i++) routing.append([1, 0, 1]);
  expect(isDead(routing.shares[1], 2)).toBe(true);
});

test('dead is below a twentieth of an even share; a lone expert never is', () => {
  expect(isDead(0.0124, 4)).toBe(true);
  expect(isDead(0.0126, 4)).toBe(false);
  expect(isDead(0, 1)).toBe(false);
});

test('shares of another length are refused', () => {
  expect(() => new RecentRouting(sites).append([1, 0])).toThrow('another allocation');
});
