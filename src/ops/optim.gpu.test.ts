// Global norm, clip and AdamW against float64 over several updates.
import { expect, test } from 'vitest';
import { tensor } from '../graph/tensor.ts';
import { adamw as reference } from '../reference/optim.ts';
import { expectClose, runOp, values } from '../testing/gpu.ts';
import { STATISTICS } from './loss.ts';
import { ADAMW, adamw, axpy, globalNorm } from './optim.ts';

for (const clipNorm of [0.5, 1000, 0]) {
  test(`AdamW, clip ${clipNorm}`, async () => {
    const n = 9004;
    const [value, grad, m, v] = [
      values(1, n),
      values(2, n),
      values(3, n, 0.1),
      values(4, n, 0.01).map(Math.abs),
    ];
    const state = {
      value: Float64Array.from(value),
      grad: Float64Array.from(grad),
      m: Float64Array.from(m),
      v: Float64Array.from(v),
    };
    const norm = reference(state, 3, { learningRate: 0.01, weightDecay: 0.1, clipNorm, ...ADAMW });
    const step = {
      learning_rate: 0.01,
      weight_decay: 0.1,
      clip_norm: clipNorm,
      correction1: 1 - 0.9 ** 3,
      correction2: 1 - 0.999 ** 3,
    };
    const out = await runOp({
      step,
      inputs: {
        ...Object.fromEntries(
          Object.entries({ value, grad, m, v }).map(([k, data]) => [k, { shape: [n], data }]),
        ),
        halt: { shape: [1], data: new Uint32Array(1) },
      },
      record: (rec, t) => {
        const statistics = tensor('statistics', [STATISTICS.size]);
        adamw(rec, { value: t.value, grad: t.grad, m: t.m, v: t.v, halt: t.halt }, statistics);
        return { ...t, statistics };
      },
    });
    expect(out.statistics[STATISTICS.gradNorm]).toBeCloseTo(norm, 2);
    expectClose(out.value, state.value, 1e-6, 'value');
    expectClose(out.m, state.m, 1e-6, 'm');
    expectClose(out.v, state.v, 1e-6, 'v');
    expect(out.grad.every((g) => g === 0)).toBe(true);
  });
}

test('a gradient that is not finite changes no parameter and no moment', async () => {
  const n = 100;
  const [value, m, v] = [values(1, n), values(2, n), values(3, n).map(Math.abs)];
  for (const poison of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const grad = values(4, n);
    grad[57] = poison;
    const out = await runOp({
      step: { learning_rate: 0.01, clip_norm: 1, correction1: 0.1, correction2: 0.001 },
      inputs: {
        ...Object.fromEntries(
          Object.entries({ value, grad, m, v }).map(([k, data]) => [k, { shape: [n], data }]),
        ),
        halt: { shape: [1], data: new Uint32Array(1) },
      },
      record: (rec, t) => {
        adamw(
          rec,
          { value: t.value, grad: t.grad, m: t.m, v: t.v, halt: t.halt },
          tensor('statistics', [STATISTICS.size]),
        );
        return t;
      },
    });
    expect(out.value).toEqual(value);
    expect(out.m).toEqual(m);
    expect(out.v).toEqual(v);
    expect(out.halt[0]).not.toBe(0);
  }
});

test('axpy by each rule of the bilevel step, the norm taken on the device', async () => {
  const n = 300;
  const [x, out] = [values(1, n), values(2, n)];
  const norm = Math.sqrt(x.reduce((a, v) => a + v * v, 0));
  const epsilon = 0.01 / norm;
  const factors = { plain: 1, xi: 0.2, epsilon, difference: 0.2 / (2 * epsilon) } as const;
  for (const [rule, factor] of Object.entries(factors) as [keyof typeof factors, number][]) {
    const got = await runOp({
      step: { learning_rate: 0.2 },
      inputs: {
        x: { shape: [n], data: x },
        out: { shape: [n], data: out },
        halt: { shape: [1], data: new Uint32Array(1) },
      },
      record: (rec, t) => {
        const statistics = tensor('statistics', [STATISTICS.size]);
        globalNorm(rec, t.x, statistics, t.halt);
        axpy(rec, t.x, t.out, -1.5, rule, statistics);
        return { out: t.out };
      },
    });
    expectClose(
      got.out,
      out.map((v, i) => v - 1.5 * factor * x[i]),
      2e-6,
      rule,
    );
  }
});
