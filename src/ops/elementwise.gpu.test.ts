// Dropout against plain loops.
import { expect, test } from 'vitest';
import { dropoutMask } from '../reference/elementwise.ts';
import { expectClose, runOp, values } from '../testing/gpu.ts';
import { dropout } from './elementwise.ts';

test('dropout drops the share p, scales the rest, repeats its mask in the backward, and differs between inputs', async () => {
  const n = 5000;
  const [x, dy] = [values(1, n), values(2, n)];
  const out = await runOp({
    training: true,
    step: { dropout: 0.2, seed: 7, number: 3, micro: 1 },
    inputs: { x: { shape: [n], data: x }, dy: { shape: [n], data: dy } },
    record: (rec, t) => {
      const y = dropout(rec, t.x, 5);
      const other = dropout(rec, t.x, 6);
      rec.aliasGrad(y, t.dy);
      rec.backward();
      return { y, other, dx: rec.gradOf(t.x)! };
    },
  });
  const mask = dropoutMask(n, { seed: 7, step: 3, micro: 1, input: 5 }, 0.2);
  expectClose(
    out.y,
    x.map((v, i) => v * mask[i]),
    1e-6,
  );
  expectClose(
    out.dx,
    dy.map((v, i) => v * mask[i]),
    1e-6,
  );
  const dropped = mask.filter((m) => m === 0).length / n;
  expect(Math.abs(dropped - 0.2)).toBeLessThan(0.03);
  expect(out.other).not.toEqual(out.y);
});
