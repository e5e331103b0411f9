// Dropout against plain loops.
import { expect, test } from 'vitest';
import { dropoutMask } from '../reference/elementwise.ts';
import { expectClose, runOp, values } from '../testing/gpu.ts';
import { dropout } from './elementwise.ts';

test('dropout drops the share p, scales the rest, repeats its mask in the backward, and differs between inputs', async () => {
  const [tokens, width] = [500, 10];
  const n = tokens * width;
  const [x, dy] = [values(1, n), values(2, n)];
  const places = Array.from({ length: tokens }, (_, t) => [Math.floor(t / 70), t % 70] as const);
  const out = await runOp({
    training: true,
    step: { dropout: 0.2, seed: 7, number: 3, micro: 1 },
    inputs: {
      x: { shape: [tokens, width], data: x },
      dy: { shape: [tokens, width], data: dy },
      places: { shape: [2 * tokens], data: Uint32Array.from(places.flat()) },
    },
    record: (rec, t) => {
      const y = dropout(rec, t.x, 5, t.places);
      const other = dropout(rec, t.x, 6, t.places);
      rec.aliasGrad(y, t.dy);
      rec.backward();
      return { y, other, dx: rec.gradOf(t.x)! };
    },
  });
  const mask = dropoutMask(places, width, { seed: 7, step: 3, micro: 1, input: 5 }, 0.2);
  const masked = (v: Float32Array) => v.map((value, i) => value * mask[i]);
  expectClose(out.y, masked(x), 1e-6);
  expectClose(out.dx, masked(dy), 1e-6);
  const dropped = mask.filter((m) => m === 0).length / n;
  expect(Math.abs(dropped - 0.2)).toBeLessThan(0.03);
  expect(out.other).not.toEqual(out.y);
});

test('what is dropped of a token depends on its row and position, not on where it lies', async () => {
  const [width, x] = [64, new Float32Array(4 * 64).fill(1)];
  const dropped = async (places: number[]) => {
    const { y } = await runOp({
      step: { dropout: 0.5, seed: 7, number: 1, micro: 0 },
      inputs: {
        x: { shape: [4, width], data: x },
        places: { shape: [8], data: Uint32Array.from(places) },
      },
      record: (rec, t) => ({ y: dropout(rec, t.x, 1, t.places) }),
    });
    return [0, 1, 2, 3].map((t) => [...y.subarray(t * width, (t + 1) * width)].join());
  };
  const [a, b, c, d] = await dropped([0, 0, 0, 1, 1, 0, 1, 1]);
  expect(new Set([a, b, c, d]).size).toBe(4);
  expect(await dropped([1, 1, 0, 0, 1, 0, 0, 1])).toEqual([d, a, c, b]);
});
