// The gate, its gradients and the balance loss against float64, with unequal ranks and experts;
// worked example D of the method.
import { expect, test } from 'vitest';
import { tensor } from '../graph/tensor.ts';
import { balanceOf, gate as reference } from '../reference/adapter.ts';
import { expectClose, runOp, values } from '../testing/gpu.ts';
import { expectGradient } from '../testing/gradient.ts';
import { balance, gate, gateLayout } from './adapter.ts';
import { STATISTICS } from './loss.ts';

const split = (x: ArrayLike<number>, width: number, from: number, to: number): number[][] =>
  Array.from({ length: x.length / width }, (_, n) =>
    Array.from({ length: to - from }, (_, c) => x[n * width + from + c]),
  );

test('reference: dh and dz are the derivatives, balance included', () => {
  const experts = [
    { rank: 2, scale: 2 },
    { rank: 1, scale: 0.5 },
    { rank: 3, scale: 1 },
  ];
  const [tokens, columns] = [4, 6];
  const h = split(values(1, tokens * columns), columns, 0, columns);
  const z = split(values(2, tokens * 3, 2), 3, 0, 3);
  const du = split(values(3, tokens * columns), columns, 0, columns);
  const real = [true, true, false, true];
  const loss = (hh: number[][], zz: number[][]) => {
    const r = reference(hh, zz, experts, 2, real);
    return r.u.flat().reduce((a, v, i) => a + v * du.flat()[i], 0) + 0.3 * r.loss;
  };
  const got = reference(h, z, experts, 2, real, du, 0.3);
  expectGradient((at) => loss(split(at, columns, 0, columns), z), h.flat(), got.dh!.flat());
  expectGradient((at) => loss(h, split(at, 3, 0, 3)), z.flat(), got.dz!.flat());
});

test('gate of three sites with 5, 1 and 2 experts, K = 2', async () => {
  const [rows, time] = [3, 11];
  const tokens = rows * time;
  const lengths = Uint32Array.from([11, 4, 7]);
  const real = Array.from({ length: tokens }, (_, n) => n % time < lengths[Math.floor(n / time)]);
  const sites = [
    { kept: 2, experts: [3, 1, 8, 2, 5].map((rank) => ({ rank, scale: 2 })) },
    { kept: 1, experts: [{ rank: 4, scale: 4 }] },
    {
      kept: 2,
      experts: [
        { rank: 1, scale: 16 },
        { rank: 2, scale: 8 },
      ],
    },
  ];
  const layout = gateLayout(sites);
  const width = layout.columns + layout.experts;
  const h = values(1, tokens * width, 2);
  // A tie: the lower index wins.
  for (let n = 0; n < tokens; n += 5)
    h[n * width + layout.columns + 1] = h[n * width + layout.columns];
  const du = values(2, tokens * layout.columns);
  const out = await runOp({
    training: true,
    step: { balance_scale: 0.25 },
    inputs: {
      h: { shape: [tokens, width], data: h },
      du: { shape: [tokens, layout.columns], data: du },
      lengths: { shape: [rows], data: lengths },
    },
    record: (rec, t) => {
      const routing = tensor('routing', [2 * (layout.experts + 3) + 1]);
      const statistics = tensor('statistics', [STATISTICS.size]);
      rec.clear(routing);
      rec.clear(statistics);
      const u = gate(rec, t.h, layout, {
        state: routing,
        total: layout.experts + 3,
        start: 3,
        lengths: t.lengths,
        time,
      });
      balance(
        rec,
        routing,
        [0, 0, 0, ...sites.flatMap((s) => s.experts.map(() => s.experts.length))],
        statistics,
      );
      rec.aliasGrad(u, t.du);
      rec.backward();
      return { u, dh: rec.gradOf(t.h)!, routing, statistics };
    },
  });
  let column = 0;
  let expert = 0;
  let total = 0;
  for (const s of sites) {
    const [nextColumn, nextExpert] = [
      column + s.experts.reduce((a, e) => a + e.rank, 0),
      expert + s.experts.length,
    ];
    const want = reference(
      split(h, width, column, nextColumn),
      split(h, width, layout.columns + expert, layout.columns + nextExpert),
      s.experts,
      s.kept,
      real,
      split(du, layout.columns, column, nextColumn),
      0.25,
    );
    expectClose(split(out.u, layout.columns, column, nextColumn).flat(), want.u.flat(), 1e-6, 'u');
    expectClose(split(out.dh, width, column, nextColumn).flat(), want.dh!.flat(), 1e-6, 'dh');
    const dz = split(out.dh, width, layout.columns + expert, layout.columns + nextExpert).flat();
    if (s.experts.length > 1) expectClose(dz, want.dz!.flat(), 5e-6, 'dz');
    else for (const v of dz) expect(Math.abs(v)).toBeLessThan(1e-5);
    expectClose(out.routing.slice(3 + expert, 3 + nextExpert), want.f, 1e-6, 'f');
    expectClose(
      out.routing.slice(layout.experts + 6 + expert, layout.experts + 6 + nextExpert),
      want.mean,
      1e-6,
      'P',
    );
    total += want.loss;
    [column, expert] = [nextColumn, nextExpert];
  }
  expect(out.statistics[STATISTICS.balance]).toBeCloseTo(total, 4);
  expect(out.routing[2 * (layout.experts + 3)]).toBe(real.filter(Boolean).length);
});

test('worked example D: gate, output and balance loss', async () => {
  // x = (1, 2); A0 = (1, 0), A1 = (0, 1), third expert of rank 1 with A = 0; h = (1, 2, 0), z =
  // (0.2, 1, −0.5), s = 2.
  const layout = gateLayout([{ kept: 2, experts: [1, 1, 1].map((rank) => ({ rank, scale: 2 })) }]);
  const out = await runOp({
    inputs: {
      h: { shape: [1, 6], data: Float32Array.from([1, 2, 0, 0.2, 1, -0.5]) },
      lengths: { shape: [1], data: Uint32Array.from([1]) },
    },
    record: (rec, t) => {
      const routing = tensor('routing', [7]);
      const statistics = tensor('statistics', [STATISTICS.size]);
      rec.clear(statistics);
      const u = gate(rec, t.h, layout, {
        state: routing,
        total: 3,
        start: 0,
        lengths: t.lengths,
        time: 1,
      });
      balance(rec, routing, [3, 3, 3], statistics);
      return { u, statistics, routing };
    },
  });
  const base = 1 * 0.5 + 2 * -0.25;
  expect(base + out.u[0] * 1 + out.u[1] * -0.5).toBeCloseTo(-0.7598979, 6);
  expectClose(
    out.routing.slice(0, 6),
    [0.5, 0.5, 0, 0.268664, 0.597922, 0.133414],
    2e-6,
    'f and P',
  );
  expect(out.statistics[STATISTICS.balance]).toBeCloseTo(1.299878, 5);
  const { gates } = reference([[1, 2, 0]], [[0.2, 1, -0.5]], layout.sites[0].experts, 2, [true]);
  expect(balanceOf(gates, 2).loss).toBeCloseTo(1.299878, 6);
});
