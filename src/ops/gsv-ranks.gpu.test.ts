// One rank GSV a site, no expert GSVs (method §6): sizes, the gradient of rows, the cost, against
// float64.
import { expect, test } from 'vitest';
import { tensor } from '../graph/tensor.ts';
import { argmax, drawIndex, survival, survivalGradient } from '../reference/gsv.ts';
import { expectClose, runOp, values } from '../testing/gpu.ts';
import { EXPERT_WORDS, expertsOf, SITE_WORDS, scaleColumns } from './adapter.ts';
import { columnFactors, dualStep, parameterCost, type SearchGroup, writeSizes } from './gsv.ts';

const [sites, rank, tokens] = [3, 5, 7];
const columns = sites * rank;

for (const closable of [false, true]) {
  const length = rank + (closable ? 1 : 0);
  const group: SearchGroup = {
    sites,
    experts: 1,
    rank,
    topK: 2,
    scale: 0.5,
    estimator: 'survival',
    closable,
    start: 4,
  };
  const gsv = values(closable ? 11 : 12, sites * length, 2);
  if (closable) gsv[length] = 9; // the second site is closed
  const vector = (s: number) => gsv.slice(s * length, (s + 1) * length);
  const sizeOf = (index: number) => (closable ? index : index + 1);
  const experts = expertsOf(
    Array.from({ length: sites }, () => ({ ranks: [rank], topK: 2 })),
    'constant',
  );
  const inputs = {
    ranks: { shape: [sites, length], data: gsv },
    table: { shape: [...experts.table.shape], data: experts.table.data! },
  };
  const openRows = (table: Float32Array) =>
    Array.from(
      { length: sites },
      (_, s) => new Uint32Array(table.buffer)[SITE_WORDS * sites + EXPERT_WORDS * s + 2],
    );
  const named = closable ? 'closable' : 'never closed';

  test(`ranks by argmax, and drawn, ${named}`, async () => {
    for (const mode of ['argmax', 'sampled'] as const) {
      const out = await runOp({
        inputs,
        step: { seed: 5, number: 3 },
        record: (rec, t) => {
          const open = { ...experts, table: t.table };
          writeSizes(rec, group, { experts: null, ranks: t.ranks }, open, mode);
          return { table: t.table };
        },
      });
      const want = Array.from({ length: sites }, (_, s) =>
        sizeOf(
          mode === 'argmax'
            ? argmax(vector(s))
            : drawIndex(vector(s), 5, 3, group.start + 2 * s + 1),
        ),
      );
      expect(openRows(out.table)).toEqual(want);
      if (closable && mode === 'argmax') expect(want[1]).toBe(0);
    }
  });

  test(`u = s m e h, and the gradients of h, row scales and GSVs, ${named}`, async () => {
    const h = values(21, tokens * columns);
    const du = values(22, tokens * columns);
    const scale = values(23, columns);
    const out = await runOp({
      training: true,
      inputs: {
        ...inputs,
        ranks: { ...inputs.ranks, gradient: new Float32Array(sites * length) },
        h: { shape: [tokens, columns], data: h },
        du: { shape: [tokens, columns], data: du },
        rowScale: { shape: [columns], data: scale, gradient: new Float32Array(columns) },
      },
      record: (rec, t) => {
        const open = { ...experts, table: t.table };
        writeSizes(rec, group, { experts: null, ranks: t.ranks }, open, 'argmax');
        const factor = columnFactors(rec, group, open, t.rowScale, t.ranks);
        const u = scaleColumns(rec, t.h, open, factor);
        rec.aliasGrad(u, t.du);
        rec.backward();
        return {
          u,
          dh: rec.gradOf(t.h)!,
          dScale: t.rowScale.gradient!,
          dRanks: t.ranks.gradient!,
        };
      },
    });
    const open = (c: number) => (c % rank < sizeOf(argmax(vector(Math.floor(c / rank)))) ? 1 : 0);
    const each = (of: (c: number, at: number) => number) =>
      Array.from({ length: tokens * columns }, (_, at) => of(at % columns, at));
    const summed = (of: (c: number, at: number) => number) =>
      Array.from({ length: columns }, (_, c) =>
        Array.from({ length: tokens }, (_, n) => of(c, n * columns + c)).reduce((a, b) => a + b, 0),
      );
    expectClose(
      out.u,
      each((c, at) => 0.5 * open(c) * scale[c] * h[at]),
      1e-6,
      'u',
    );
    expectClose(
      out.dh,
      each((c, at) => 0.5 * open(c) * scale[c] * du[at]),
      1e-6,
      'dh',
    );
    expectClose(
      out.dScale,
      summed((c, at) => 0.5 * open(c) * h[at] * du[at]),
      1e-5,
      'row scales',
    );
    const masks = summed((c, at) => 0.5 * scale[c] * h[at] * du[at]); // closed rows too
    for (let s = 0; s < sites; s++) {
      const want = survivalGradient(vector(s), masks.slice(s * rank, (s + 1) * rank), 0, closable);
      expectClose(out.dRanks.slice(s * length, (s + 1) * length), want, 2e-5, `GSV of site ${s}`);
    }
  });

  test(`E[params] = Σ (C + O)·Σ_j P(r > j), λ times its gradient, ${named}`, async () => {
    const dims = [
      [12, 5],
      [9, 4],
      [20, 11],
    ] as const;
    const most = dims.reduce((sum, [both]) => sum + rank * both, 0);
    const before = values(14, sites * length);
    const out = await runOp({
      inputs: {
        ranks: { ...inputs.ranks, gradient: before },
        cost: { shape: [2], data: Float32Array.of(0.7, 0) },
      },
      record: (rec, t) => {
        const state = { cost: t.cost, expected: tensor('expected', [sites]), most };
        parameterCost(rec, group, dims, 0, { experts: null, ranks: t.ranks }, state, true);
        dualStep(rec, state, 0.4);
        return { expected: state.expected, cost: t.cost, dRanks: t.ranks.gradient! };
      },
    });
    const sum = (v: readonly number[]) => v.reduce((a, b) => a + b, 0);
    const want = dims.map(([both], s) => both * sum(survival(vector(s), 0, closable)));
    expectClose(out.expected, want, 1e-6, 'expected parameters');
    const share = sum(want) / most;
    expect(out.cost[1]).toBeCloseTo(share, 6);
    expect(out.cost[0]).toBeCloseTo(0.7 + 0.05 * (share - 0.4), 6);
    const ones = new Array<number>(rank).fill(1);
    const gradient = dims.flatMap(([both], s) =>
      Array.from(survivalGradient(vector(s), ones, 0, closable), (v) => (0.7 / most) * both * v),
    );
    const added = gradient.map((v, i) => before[i] + v);
    expectClose(out.dRanks, added, 1e-6, 'rank GSVs');
  });
}
