// RMSNorm against float64 at odd sizes, both reductions, and the reference against finite
// differences.
import { test } from 'vitest';
import { rmsNorm as reference } from '../reference/norm.ts';
import { expectClose, runOp, testVariants, values } from '../testing/gpu.ts';
import { expectGradient, inner } from '../testing/gradient.ts';
import { rmsNorm } from './norm.ts';
import { rowReductions } from './rows/rows.ts';

test('reference: dx is the derivative', () => {
  const [x, w, dy] = [values(1, 14), values(2, 7), values(3, 14)];
  expectGradient((at) => inner(reference(at, w, 1e-6).y, dy), x, reference(x, w, 1e-6, dy).dx);
});

for (const [rows, width] of [
  [1, 3],
  [3, 5],
  [70, 33],
  [130, 64],
]) {
  testVariants(rowReductions, `rms_norm ${rows}×${width}`, async (kernels) => {
    const [x, w, dy] = [values(1, rows * width, 2), values(2, width), values(3, rows * width)];
    const want = reference(x, w, 1e-5, dy);
    const out = await runOp({
      kernels,
      training: true,
      inputs: {
        x: { shape: [rows, width], data: x },
        w: { shape: [width], data: w },
        dy: { shape: [rows, width], data: dy },
      },
      record: (rec, t) => {
        const y = rmsNorm(rec, t.x, t.w, 1e-5);
        rec.aliasGrad(y, t.dy);
        rec.backward();
        return { y, dx: rec.gradOf(t.x)! };
      },
    });
    expectClose(out.y, want.y, 1e-6, 'y');
    expectClose(out.dx, want.dx, 2e-6, 'dx');
  });
}
