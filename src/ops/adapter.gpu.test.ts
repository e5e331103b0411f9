// Routing, mixing, their gradients and the balance loss against float64, with unequal ranks and
// experts; worked example D of the method.
import { expect, test } from 'vitest';
import { tensor } from '../graph/tensor.ts';
import { balanceOf, gate as reference } from '../reference/adapter.ts';
import { expectClose, runOp, values } from '../testing/gpu.ts';
import { expectGradient } from '../testing/gradient.ts';
import { balance, expertsOf, gate, routingSize, scaleColumns } from './adapter.ts';
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

/** s_i of every column. */
const factors = (sites: readonly { experts: readonly { rank: number; scale: number }[] }[]) =>
  Float32Array.from(
    sites.flatMap((s) => s.experts.flatMap((e) => Array<number>(e.rank).fill(e.scale))),
  );

test('three sites with 5, 1 and 2 experts, K = 2', async () => {
  const [rows, seqLen] = [3, 11];
  const tokens = rows * seqLen;
  const lengths = Uint32Array.from([11, 4, 7]);
  const real = Array.from(
    { length: tokens },
    (_, n) => n % seqLen < lengths[Math.floor(n / seqLen)],
  );
  const sites = [
    { topK: 2, experts: [3, 1, 8, 2, 5].map((rank) => ({ rank, scale: 2 })) },
    { topK: 1, experts: [{ rank: 4, scale: 4 }] },
    {
      topK: 2,
      experts: [
        { rank: 1, scale: 16 },
        { rank: 2, scale: 8 },
      ],
    },
  ];
  const group = expertsOf(
    sites.map((s) => ({ ranks: s.experts.map((e) => e.rank), topK: 2 })),
    'constant',
  );
  const { columns, experts } = group;
  const [width, total] = [columns + experts, experts + 3];
  const h = values(1, tokens * width, 2);
  // A tie: the lower index wins.
  for (let n = 0; n < tokens; n += 5) h[n * width + columns + 1] = h[n * width + columns];
  const du = values(2, tokens * columns);
  const before = values(3, columns);
  const out = await runOp({
    training: true,
    step: { balance_scale: 0.25 },
    inputs: {
      h: { shape: [tokens, width], data: h },
      factor: { shape: [columns], data: factors(sites), gradient: before },
      du: { shape: [tokens, columns], data: du },
      lengths: { shape: [rows], data: lengths },
    },
    record: (rec, t) => {
      const state = tensor('routing', [routingSize(total)]);
      const statistics = tensor('statistics', [STATISTICS.size]);
      rec.clear(state);
      rec.clear(statistics);
      const routing = { state, total, lengths: t.lengths, seqLen };
      const logits = { h: t.h, start: columns };
      const u = gate(rec, logits, group, t.factor, { routing, first: 3, counted: true });
      balance(rec, routing, statistics);
      rec.aliasGrad(u, t.du);
      rec.backward();
      return { u, dh: rec.gradOf(t.h)!, state, statistics, dFactor: t.factor.gradient! };
    },
  });
  let column = 0;
  let expert = 0;
  let balanced = 0;
  for (const s of sites) {
    const [nextColumn, nextExpert] = [
      column + s.experts.reduce((a, e) => a + e.rank, 0),
      expert + s.experts.length,
    ];
    const hs = split(h, width, column, nextColumn);
    const want = reference(
      hs,
      split(h, width, columns + expert, columns + nextExpert),
      s.experts,
      s.topK,
      real,
      split(du, columns, column, nextColumn),
      0.25,
    );
    expectClose(split(out.u, columns, column, nextColumn).flat(), want.u.flat(), 1e-6, 'u');
    expectClose(split(out.dh, width, column, nextColumn).flat(), want.dh!.flat(), 1e-6, 'dh');
    const dz = split(out.dh, width, columns + expert, columns + nextExpert).flat();
    if (s.experts.length > 1) expectClose(dz, want.dz!.flat(), 5e-6, 'dz');
    else for (const v of dz) expect(Math.abs(v)).toBeLessThan(1e-5);
    // ∂L/∂factor_c = Σ ∂L/∂h_c · h_c / factor_c, added to what was there.
    const scales = s.experts.flatMap((e) => Array<number>(e.rank).fill(e.scale));
    const dFactor = scales.map(
      (scale, c) =>
        before[column + c] + want.dh!.reduce((sum, row, n) => sum + row[c] * hs[n][c], 0) / scale,
    );
    expectClose(out.dFactor.slice(column, nextColumn), dFactor, 2e-6, 'factor gradient');
    const routing = (from: number) => out.state.slice(from + 3 + expert, from + 3 + nextExpert);
    expectClose(routing(0), want.f, 1e-6, 'f');
    expectClose(routing(total), want.mean, 1e-6, 'P');
    expect([...routing(2 * total)]).toEqual(s.experts.map(() => s.experts.length));
    balanced += want.loss;
    [column, expert] = [nextColumn, nextExpert];
  }
  expect(out.statistics[STATISTICS.balance]).toBeCloseTo(balanced, 4);
  expect(out.state[3 * total]).toBe(real.filter(Boolean).length);
});

test('without gates every weight is 1', async () => {
  const group = expertsOf([{ ranks: [3], topK: 1 }], 'constant');
  const [tokens, columns] = [70, 3];
  const [h, factor, du] = [values(1, tokens * columns), values(2, columns), values(3, 210)];
  const out = await runOp({
    training: true,
    inputs: {
      h: { shape: [tokens, columns], data: h },
      factor: { shape: [columns], data: factor, gradient: new Float32Array(columns) },
      du: { shape: [tokens, columns], data: du },
    },
    record: (rec, t) => {
      const u = scaleColumns(rec, t.h, group, t.factor);
      rec.aliasGrad(u, t.du);
      rec.backward();
      return { u, dh: rec.gradOf(t.h)!, dFactor: t.factor.gradient! };
    },
  });
  expectClose(
    out.u,
    h.map((v, i) => v * factor[i % columns]),
    1e-6,
  );
  expectClose(
    out.dh,
    du.map((v, i) => v * factor[i % columns]),
    1e-6,
  );
  const want = Array.from(factor, (_, c) =>
    h.reduce((sum, v, i) => sum + (i % columns === c ? v * du[i] : 0), 0),
  );
  expectClose(out.dFactor, want, 2e-6);
});

test('worked example D: gate, output and balance loss', async () => {
  // x = (1, 2); A0 = (1, 0), A1 = (0, 1), third expert of rank 1 with A = 0; h = (1, 2, 0), z =
  // (0.2, 1, −0.5), s = 2.
  const experts = [1, 1, 1].map((rank) => ({ rank, scale: 2 }));
  const group = expertsOf([{ ranks: [1, 1, 1], topK: 2 }], 'constant');
  const out = await runOp({
    inputs: {
      h: { shape: [1, 6], data: Float32Array.from([1, 2, 0, 0.2, 1, -0.5]) },
      factor: { shape: [3], data: factors([{ experts }]) },
      lengths: { shape: [1], data: Uint32Array.from([1]) },
    },
    record: (rec, t) => {
      const state = tensor('routing', [routingSize(3)]);
      const statistics = tensor('statistics', [STATISTICS.size]);
      rec.clear(statistics);
      const routing = { state, total: 3, lengths: t.lengths, seqLen: 1 };
      const logits = { h: t.h, start: 3 };
      const u = gate(rec, logits, group, t.factor, { routing, first: 0, counted: true });
      balance(rec, routing, statistics);
      return { u, statistics, state };
    },
  });
  const base = 1 * 0.5 + 2 * -0.25;
  expect(base + out.u[0] * 1 + out.u[1] * -0.5).toBeCloseTo(-0.7598979, 6);
  expectClose(out.state.slice(0, 6), [0.5, 0.5, 0, 0.268664, 0.597922, 0.133414], 2e-6, 'f and P');
  expect(out.statistics[STATISTICS.balance]).toBeCloseTo(1.299878, 5);
  const { gates } = reference([[1, 2, 0]], [[0.2, 1, -0.5]], experts, 2, [true]);
  expect(balanceOf(gates, 2).loss).toBeCloseTo(1.299878, 6);
});
