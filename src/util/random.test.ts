// Seeded random numbers: repeatable, independent by purpose, of the right distribution.
import { describe, expect, test } from 'vitest';
import { permutation, Random, streamKey } from './random.ts';

const draw = (r: Random, n: number) => Array.from({ length: n }, () => r.uniform());

describe('Random', () => {
  test('is a pure function of seed and purpose', () => {
    expect(draw(new Random(1, 'a'), 5)).toEqual(draw(new Random(1, 'a'), 5));
    expect(draw(new Random(1, 'a'), 5)).not.toEqual(draw(new Random(2, 'a'), 5));
    expect(draw(new Random(1, 'a'), 5)).not.toEqual(draw(new Random(1, 'b'), 5));
    expect(streamKey(1, 'dropout')).not.toBe(streamKey(1, 'shuffle'));
  });

  test('streams of neighbouring seeds and of other purposes are uncorrelated', () => {
    const n = 4000;
    const streams = [
      new Random(1, 'a'),
      new Random(2, 'a'),
      new Random(1, 'b'),
      new Random(12, 'a'),
    ].map((r) => draw(r, n));
    for (const [i, x] of streams.entries()) {
      for (const y of streams.slice(i + 1)) {
        const correlation = (x.reduce((sum, v, k) => sum + (v - 0.5) * (y[k] - 0.5), 0) / n) * 12;
        expect(Math.abs(correlation)).toBeLessThan(5 / Math.sqrt(n));
      }
    }
  });

  test('uniform and normal have their moments', () => {
    const r = new Random(7, 'moments');
    const n = 20000;
    const u = draw(r, n);
    expect(Math.min(...u)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...u)).toBeLessThan(1);
    expect(u.reduce((a, b) => a + b, 0) / n).toBeCloseTo(0.5, 1.9);
    const z = Array.from({ length: n }, () => r.normal());
    expect(Math.abs(z.reduce((a, b) => a + b, 0) / n)).toBeLessThan(0.03);
    expect(Math.abs(z.reduce((a, b) => a + b * b, 0) / n - 1)).toBeLessThan(0.05);
    expect(Math.abs(z.reduce((a, b) => a + b ** 4, 0) / n - 3)).toBeLessThan(0.3);
  });

  test('int covers 0 … n−1 evenly', () => {
    const r = new Random(3, 'int');
    const counts = [0, 0, 0, 0, 0];
    for (let i = 0; i < 10000; i++) counts[r.int(5)]++;
    for (const c of counts) expect(Math.abs(c - 2000)).toBeLessThan(200);
    expect(r.int(1)).toBe(0);
  });

  test('permutation holds every index once and differs by seed', () => {
    const p = permutation(100, 1);
    expect([...p].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect([...p]).not.toEqual([...permutation(100, 2)]);
    expect([...p]).toEqual([...permutation(100, 1)]);
    expect(permutation(0, 1).length).toBe(0);
  });
});
