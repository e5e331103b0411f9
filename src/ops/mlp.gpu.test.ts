// SwiGLU against float64, and the reference against finite differences.
import { test } from 'vitest';
import { swiglu as reference } from '../reference/mlp.ts';
import { expectClose, runOp, values } from '../testing/gpu.ts';
import { expectGradient, inner } from '../testing/gradient.ts';
import { swiglu } from './mlp.ts';

test('swiglu and its gradients', async () => {
  const n = 131;
  const [gate, up, dy] = [values(1, n, 5), values(2, n), values(3, n)];
  const want = reference(gate, up, dy);
  expectGradient((at) => inner(reference(at, up).y, dy), gate, want.dGate);
  expectGradient((at) => inner(reference(gate, at).y, dy), up, want.dUp);
  const out = await runOp({
    training: true,
    inputs: {
      gate: { shape: [n], data: gate },
      up: { shape: [n], data: up },
      dy: { shape: [n], data: dy },
    },
    record: (rec, t) => {
      const y = swiglu(rec, t.gate, t.up);
      rec.aliasGrad(y, t.dy);
      rec.backward();
      return { y, dGate: rec.gradOf(t.gate)!, dUp: rec.gradOf(t.up)! };
    },
  });
  expectClose(out.y, want.y, 1e-6, 'y');
  expectClose(out.dGate, want.dGate, 2e-6, 'dGate');
  expectClose(out.dUp, want.dUp, 1e-6, 'dUp');
});
