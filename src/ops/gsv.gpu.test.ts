// The gate of the search, its gradients, and both GSV estimators against float64; every Δ from two
// gates computed from scratch.
import { expect, test } from 'vitest';
import { tensor } from '../graph/tensor.ts';
import { balanceOf, gateOf } from '../reference/adapter.ts';
import {
  argmax,
  type CostSite,
  drawIndex,
  expectedParameters,
  expectedParametersGradient,
  openExperts,
  paperGradient,
  searchGate as reference,
  type SearchSite,
  searchGateBackward,
  survivalGradient,
} from '../reference/gsv.ts';
import { expectClose, relativeError, runOp, values } from '../testing/gpu.ts';
import { expectGradient, inner } from '../testing/gradient.ts';
import { balance, EXPERT_WORDS, expertsOf, gate, routingSize, SITE_WORDS } from './adapter.ts';
import {
  columnFactors,
  dualStep,
  learnCounts,
  parameterCost,
  type SearchGroup,
  writeSizes,
} from './gsv.ts';
import { STATISTICS } from './loss.ts';

/** The level whose parameters get gradients in a pass. */
type Level = 'lower' | 'upper';

/** A group's experts as a search lays them out. */
const searchExperts = ({ sites, experts, rank, topK }: SearchGroup) =>
  expertsOf(
    Array.from({ length: sites }, () => ({ ranks: Array<number>(experts).fill(rank), topK })),
    'constant',
  );

/** Sizes in a table of experts: per site the open ones, then each one's open rows. */
function sizesIn(table: Float32Array, { sites, experts }: SearchGroup): number[] {
  const words = new Uint32Array(table.buffer);
  return Array.from({ length: sites }, (_, s) => [
    words[SITE_WORDS * s + 2],
    ...Array.from(
      { length: experts },
      (_, e) => words[SITE_WORDS * sites + EXPERT_WORDS * (s * experts + e) + 2],
    ),
  ]).flat();
}

const slice = (x: ArrayLike<number>, from: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => x[from + i]);

test('reference: dh, dz, the row scales and the rank mask are the derivatives', () => {
  const site: SearchSite = {
    experts: 3,
    rank: 2,
    topK: 2,
    scale: 2,
    closed: 0.1,
    open: 3,
    ranks: [1, 2, 1],
    rowScale: [1, 0.5, 2, 1, 1.5, 1],
  };
  const [h, z, du] = [values(1, 6), values(2, 3, 2), values(3, 6)].map((x) => Array.from(x));
  const got = searchGateBackward(h, z, du, site, 'paper', 2);
  expectGradient((at) => inner(reference(Array.from(at), z, site).u, du), h, got.dh);
  expectGradient((at) => inner(reference(h, Array.from(at), site).u, du), z, got.dz);
  expectGradient(
    (at) => inner(reference(h, z, { ...site, rowScale: Array.from(at) }).u, du),
    site.rowScale,
    got.dRow,
  );
});

for (const estimator of ['paper', 'survival'] as const) {
  for (const closable of estimator === 'paper' ? [false] : [false, true]) {
    test(`search gate and GSV gradients, ${estimator}${closable ? ', closable' : ''}; every Δ from two gates computed from scratch`, async () => {
      const [rows, seqLen, sites, experts, rank, topK] = [2, 9, 3, 4, 3, 2];
      const tokens = rows * seqLen;
      const all = sites * experts;
      const columns = all * rank;
      const width = columns + all;
      const length = experts + (closable ? 1 : 0);
      const group: SearchGroup = {
        sites,
        experts,
        rank,
        topK,
        scale: 1.5,
        estimator,
        closable,
        start: 0,
      };
      const { table } = searchExperts(group);
      const h = values(1, tokens * width, 2);
      const du = values(2, tokens * columns);
      const rowScale = values(3, columns).map((v) => 1 + v / 2);
      const expertGsv = values(4, sites * length);
      // One site with its first entry largest: one expert, or none where sites can close.
      expertGsv[length] = 2;
      const rankGsv = values(5, all * rank);
      const before = values(6, columns);
      const run = (level: Level) => {
        const upper = level === 'upper';
        const zeros = (n: number) => new Float32Array(n);
        return runOp({
          training: true,
          inputs: {
            h: { shape: [tokens, width], data: h },
            du: { shape: [tokens, columns], data: du },
            rowScale: { shape: [columns], data: rowScale, gradient: before, grad: !upper },
            table: { shape: [...table.shape], data: table.data! },
            expertGsv: {
              shape: [sites, length],
              data: expertGsv,
              gradient: zeros(sites * length),
              grad: upper,
            },
            rankGsv: {
              shape: [all, rank],
              data: rankGsv,
              gradient: zeros(all * rank),
              grad: upper,
            },
            lengths: { shape: [rows], data: Uint32Array.from([seqLen, seqLen]) },
          },
          record: (rec, t) => {
            const open = { ...searchExperts(group), table: t.table };
            const state = tensor('routing', [routingSize(all)]);
            const statistics = tensor('statistics', [STATISTICS.size]);
            rec.clear(state);
            rec.clear(statistics);
            writeSizes(rec, group, { experts: t.expertGsv, ranks: t.rankGsv }, open, 'argmax');
            const routing = { state, total: all, lengths: t.lengths, seqLen };
            const logits = { h: t.h, start: columns };
            const factor = columnFactors(rec, group, open, t.rowScale, t.rankGsv);
            const counts = { routing, first: 0, counted: true };
            let w = t.h;
            const u = gate(rec, logits, open, factor, counts, (gates) => {
              w = gates.w;
              learnCounts(rec, group, open, logits, gates, t.expertGsv);
            });
            balance(rec, routing, statistics);
            rec.aliasGrad(u, t.du);
            rec.backward({ auxiliary: !upper });
            const gradients = {
              dRow: t.rowScale.gradient!,
              dExperts: t.expertGsv.gradient!,
              dRanks: t.rankGsv.gradient!,
            };
            return { u, w, dh: rec.gradOf(t.h)!, statistics, ...gradients };
          },
        });
      };
      const [lower, out] = [await run('lower'), await run('upper')];
      const floor = closable ? 0 : topK;
      const closed = estimator === 'paper' ? 1e-4 : 0;
      const empty = () => ({
        u: [] as number[],
        dh: [] as number[],
        dz: [] as number[],
        w: [] as number[],
      });
      const [want, got, below] = [empty(), empty(), empty()];
      const dRow = Float64Array.from(before);
      const masks = new Float64Array(width);
      const list = Array.from({ length: sites }, (_, s): SearchSite => {
        const ranks = Array.from(
          { length: experts },
          (_, e) => argmax(slice(rankGsv, (s * experts + e) * rank, rank)) + 1,
        );
        const open = openExperts(slice(expertGsv, s * length, length), topK, closable);
        return {
          experts,
          rank,
          topK,
          scale: 1.5,
          closed,
          open,
          ranks,
          rowScale: slice(rowScale, s * experts * rank, experts * rank),
        };
      });
      expect(list[1].open).toBe(closable ? 0 : topK);
      const per = experts * rank;
      for (let n = 0; n < tokens; n++) {
        list.forEach((site, s) => {
          const [hs, z] = [
            slice(h, n * width + s * per, per),
            slice(h, n * width + columns + s * experts, experts),
          ];
          const ds = slice(du, n * columns + s * per, per);
          const forward = reference(hs, z, site);
          const back = searchGateBackward(hs, z, ds, site, estimator, floor);
          want.u.push(...forward.u);
          want.w.push(...forward.w);
          want.dh.push(...back.dh);
          want.dz.push(...back.dz);
          const at = n * width;
          got.u.push(...slice(out.u, n * columns + s * per, per));
          got.w.push(...slice(out.w, n * all + s * experts, experts));
          got.dh.push(...slice(out.dh, at + s * per, per));
          got.dz.push(...slice(out.dh, at + columns + s * experts, experts));
          below.dh.push(...slice(lower.dh, n * width + s * per, per));
          below.dz.push(...slice(lower.dh, n * width + columns + s * experts, experts));
          back.dRow.forEach((v, c) => {
            dRow[s * per + c] += v;
          });
          back.dRankMask.forEach((v, c) => {
            masks[s * per + c] += v;
          });
          back.dExpertMask.forEach((v, e) => {
            masks[columns + s * experts + e] += v;
          });
        });
      }
      for (const key of ['u', 'w', 'dh', 'dz'] as const)
        expectClose(got[key], want[key], 3e-6, key);
      // Both levels have the same dh where the balance term has no coefficient, and each leaves the
      // other's gradients alone.
      expect(below.dh).toEqual(got.dh);
      expect(below.dz).toEqual(got.dz);
      expect(out.dRow).toEqual(before);
      for (const v of [...lower.dExperts, ...lower.dRanks]) expect(v).toBe(0);
      const balanced = list.reduce((sum, site, s) => {
        if (site.open === 0) return sum;
        const among = Array.from({ length: tokens }, (_, n) =>
          gateOf(slice(h, n * width + columns + s * experts, site.open), Math.min(topK, site.open)),
        );
        return sum + balanceOf(among, Math.min(topK, site.open)).loss;
      }, 0);
      expect(out.statistics[STATISTICS.balance]).toBeCloseTo(balanced, 4);
      expectClose(lower.dRow, dRow, 3e-6, 'row scales');
      list.forEach((site, s) => {
        const g = slice(expertGsv, s * length, length);
        const d = slice(masks, columns + s * experts, experts);
        const expertWant =
          estimator === 'paper'
            ? paperGradient(g, site.open - 1, d, 0)
            : survivalGradient(g, d, floor, closable);
        expectClose(
          slice(out.dExperts, s * length, length),
          expertWant,
          2e-5,
          `expert GSV of site ${s}`,
        );
        for (let e = 0; e < experts; e++) {
          const at = (s * experts + e) * rank;
          const r = slice(rankGsv, at, rank);
          const rankWant =
            estimator === 'paper'
              ? paperGradient(r, argmax(r), slice(masks, at, rank), 1e-4)
              : survivalGradient(r, slice(masks, at, rank));
          // A closed expert's rows get exactly nothing.
          if (Array.from(rankWant).every((v) => v === 0))
            expect(Math.max(...slice(out.dRanks, at, rank).map(Math.abs))).toBe(0);
          else
            expectClose(slice(out.dRanks, at, rank), rankWant, 2e-5, `rank GSV ${e} of site ${s}`);
        }
      });
    });
  }
}

for (const closable of [false, true]) {
  const [sites, experts, rank, topK] = [3, 4, 3, 2];
  const [all, length] = [sites * experts, experts + (closable ? 1 : 0)];
  const group: SearchGroup = {
    sites,
    experts,
    rank,
    topK,
    scale: 1,
    estimator: 'survival',
    closable,
    start: 0,
  };
  const expertGsv = values(11, sites * length, 2);
  const rankGsv = values(12, all * rank, 2);
  const inputs = {
    experts: { shape: [sites, length], data: expertGsv },
    ranks: { shape: [all, rank], data: rankGsv },
  };

  test(`drawn sizes${closable ? ', closable' : ''}`, async () => {
    for (const [seed, number] of [
      [5, 1],
      [5, 2],
      [0xfffffff0, 77],
    ]) {
      const { table } = searchExperts(group);
      const out = await runOp({
        inputs: { ...inputs, table: { shape: [...table.shape], data: table.data! } },
        step: { seed, number },
        record: (rec, t) => {
          const open = { ...searchExperts(group), table: t.table };
          writeSizes(rec, group, { experts: t.experts, ranks: t.ranks }, open, 'sampled');
          return { table: t.table };
        },
      });
      const want: number[] = [];
      for (let s = 0; s < sites; s++) {
        const place = s * (experts + 1);
        const k = drawIndex(slice(expertGsv, s * length, length), seed, number, place);
        want.push(closable ? k : Math.max(topK, k + 1));
        for (let e = 0; e < experts; e++)
          want.push(
            drawIndex(slice(rankGsv, (s * experts + e) * rank, rank), seed, number, place + 1 + e) +
              1,
          );
      }
      expect(sizesIn(out.table, group)).toEqual(want);
    }
  });

  test(`cost of parameters and the budget's λ${closable ? ', closable' : ''}`, async () => {
    const dims = [
      [12, 5],
      [9, 4],
      [20, 11],
    ] as const;
    const most = dims.reduce((a, [sum, c]) => a + experts * (rank * sum + c), 0);
    const [before, beforeRanks] = [values(13, sites * length), values(14, all * rank)];
    const out = await runOp({
      inputs: {
        experts: { ...inputs.experts, gradient: before },
        ranks: { ...inputs.ranks, gradient: beforeRanks },
        cost: { shape: [2], data: Float32Array.of(0.7, 0) },
      },
      record: (rec, t) => {
        const state = { cost: t.cost, expected: tensor('expected', [sites]), most };
        const gsvs = { experts: t.experts, ranks: t.ranks };
        parameterCost(rec, group, dims, 0, gsvs, state, true);
        parameterCost(rec, group, dims, 0, gsvs, state, false);
        dualStep(rec, state, 0.9);
        const gradients = { dExperts: t.experts.gradient!, dRanks: t.ranks.gradient! };
        return { expected: state.expected, cost: t.cost, ...gradients };
      },
    });
    const floor = closable ? 0 : topK;
    const list = dims.map(([sum, c], s): CostSite => {
      const ranks = Array.from({ length: experts }, (_, e) =>
        slice(rankGsv, (s * experts + e) * rank, rank),
      );
      return { experts: slice(expertGsv, s * length, length), ranks, inputs: c, outputs: sum - c };
    });
    const want = list.map((s) => expectedParameters(s, floor, closable));
    expectClose(out.expected, want, 1e-6, 'expected parameters');
    const share = want.reduce((a, b) => a + b, 0) / most;
    expect(out.cost[1]).toBeCloseTo(share, 6);
    expect(out.cost[0]).toBeCloseTo(0.7 + 0.05 * (share - 0.9), 6);
    const gradients = list.map((s) => expectedParametersGradient(s, floor, closable));
    const added = (g: readonly number[], to: Float32Array) =>
      g.map((v, i) => to[i] + (0.7 / most) * v);
    expectClose(
      out.dExperts,
      added(
        gradients.flatMap((g) => Array.from(g.experts)),
        before,
      ),
      1e-6,
      'expert GSVs',
    );
    expectClose(
      out.dRanks,
      added(
        gradients.flatMap((g) => g.ranks.flatMap((r) => Array.from(r))),
        beforeRanks,
      ),
      1e-6,
      'rank GSVs',
    );
  });
}

test('λ never falls below 0', async () => {
  const { cost } = await runOp({
    inputs: {
      cost: { shape: [2], data: Float32Array.of(0.001, 0) },
      expected: { shape: [2], data: Float32Array.of(1, 1) },
    },
    record: (rec, t) => {
      dualStep(rec, { cost: t.cost, expected: t.expected, most: 10 }, 0.5);
      return { cost: t.cost };
    },
  });
  expect(Array.from(cost)).toEqual([0, Math.fround(0.2)]);
});

test.each(['paper', 'survival'] as const)(
  'the balance term gives the GSVs exactly nothing, and the router something: %s',
  async (estimator) => {
    const [rows, seqLen, sites, experts, rank, topK] = [1, 7, 2, 4, 2, 2];
    const all = sites * experts;
    const columns = all * rank;
    const width = columns + all;
    const group: SearchGroup = {
      sites,
      experts,
      rank,
      topK,
      scale: 1,
      estimator,
      closable: false,
      start: 0,
    };
    const { table } = searchExperts(group);
    const at = async (level: Level, balance_scale: number) =>
      runOp({
        training: true,
        step: { balance_scale },
        inputs: {
          h: { shape: [seqLen, width], data: values(1, seqLen * width, 2) },
          du: { shape: [seqLen, columns], data: values(2, seqLen * columns) },
          rowScale: { shape: [columns], data: values(3, columns), grad: false },
          experts: {
            shape: [sites, experts],
            data: Float32Array.of(0, 0, 1, 0, 0, 0, 0, 1), // 3 and 4 experts
            gradient: new Float32Array(all),
          },
          ranks: {
            shape: [all, rank],
            data: values(5, columns),
            gradient: new Float32Array(columns),
          },
          table: { shape: [...table.shape], data: table.data! },
          lengths: { shape: [rows], data: Uint32Array.from([seqLen]) },
        },
        record: (rec, t) => {
          const open = { ...searchExperts(group), table: t.table };
          writeSizes(rec, group, { experts: t.experts, ranks: t.ranks }, open, 'argmax');
          const state = tensor('routing', [routingSize(all)]);
          const routing = { state, total: all, lengths: t.lengths, seqLen };
          const logits = { h: t.h, start: columns };
          const factor = columnFactors(rec, group, open, t.rowScale, t.ranks);
          const counts = { routing, first: 0, counted: true };
          const u = gate(rec, logits, open, factor, counts, (of) =>
            learnCounts(rec, group, open, logits, of, t.experts),
          );
          rec.aliasGrad(u, t.du);
          rec.backward({ auxiliary: level === 'lower' });
          const gradients = { dExperts: t.experts.gradient!, dRanks: t.ranks.gradient! };
          return { dh: rec.gradOf(t.h)!, ...gradients };
        },
      });
    const [without, strong] = [await at('upper', 0), await at('upper', 10)];
    expect(strong).toEqual(without);
    expect(relativeError((await at('lower', 10)).dh, (await at('lower', 0)).dh)).toBeGreaterThan(
      0.01,
    );
  },
);
