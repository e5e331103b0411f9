// The search's history against plain computation: decoding, settling, totals, thinning.
import { describe, expect, test } from 'vitest';
import { siteCost } from '../adapters/methods/methods.ts';
import type { SiteDims } from '../allocation/allocation.ts';
import {
  type Allocation,
  parameterCount,
  rankKey,
  siteDims,
  sitePaths,
  targetOf,
  uniformAllocation,
} from '../allocation/allocation.ts';
import { parseRunConfig, searches } from '../settings/run-config.ts';
import type { SearchReport, UpperSeries } from '../worker/protocol/api.ts';
import { distribution, SearchHistory } from './search-history.ts';

const moe = (dims: SiteDims) => siteCost('lora-moe', dims);

const targets = ['q_proj', 'k_proj', 'gate_proj'] as const;
const dims = siteDims({ hidden: 24, heads: 4, kvHeads: 2, headDim: 6, feedForward: 40 });
const layers = 2;
const [experts, rank] = [4, 3];

function report(options: Partial<SearchReport> = {}): SearchReport {
  const config = parseRunConfig({ search: {} }, 'test');
  if (!searches(config)) throw new Error('no search');
  const sites = sitePaths(layers, targets).map((path, i) => {
    const target = targetOf(path);
    return { path, layer: Math.floor(i / targets.length), target, ...dims[target] };
  });
  return {
    config,
    sites,
    sizes: 'experts',
    experts,
    rank,
    topK: 2,
    closable: false,
    steps: 40,
    parameters: 1,
    microSteps: 2,
    trainRows: 8,
    validationRows: 0,
    ...options,
  };
}

/** Reproducible values between −1 and 1. */
const noise = (i: number) => Math.sin(12.9898 * i + 78.233);

/** Steps from `from` on, with values given by place and step. */
function steps(
  of: SearchReport,
  from: number,
  count: number,
  value: (step: number, i: number) => number,
): UpperSeries {
  const { experts, rank } = of;
  const vectors = of.sizes === 'experts' ? experts + experts * rank : rank;
  const size = of.sites.length * (vectors + (of.closable ? 1 : 0));
  const column = (f: (step: number) => number) =>
    Float64Array.from({ length: count }, (_, i) => f(from + i));
  return {
    step: column((s) => s),
    loss: column((s) => (s === 0 ? Number.NaN : 1 / s)),
    lambda: column(() => 0.1),
    share: column((s) => s / 100),
    values: Float32Array.from({ length: size * count }, (_, i) =>
      value(from + Math.floor(i / size), i % size),
    ),
  };
}

/** Entries of the expert GSV of site 0 so that `best` wins; everything else is noise. */
const withBest = (best: number) => (_: number, i: number) =>
  i < experts ? (i === best ? 2 : 0) : noise(i);

const softmax = (g: number[]) => {
  const e = g.map(Math.exp);
  const sum = e.reduce((a, b) => a + b, 0);
  return e.map((v) => v / sum);
};
const indexOfMax = (g: number[]) => g.indexOf(Math.max(...g));

describe.each([false, true])('a frame, closable %s', (closable) => {
  const of = report({ closable });
  const history = new SearchHistory(of);
  const series = steps(of, 0, 3, (step, i) => 3 * noise(i + 1000 * step));
  history.append(series);
  const entries = experts + (closable ? 1 : 0);
  const stride = entries + experts * rank;
  const size = stride * of.sites.length;

  test.each([0, 1, 2])(
    'of step %i has the counts, ranks, confidence and parameters that the GSVs say',
    (step) => {
      const frame = history.frame(step)!;
      const allocation: Allocation = { experts: {}, ranks: {} };
      let rankSum = 0;
      let expertSum = 0;
      of.sites.forEach(({ path }, s) => {
        const values = Array.from(
          series.values.subarray(step * size + s * stride, step * size + (s + 1) * stride),
        );
        const g = values.slice(0, entries);
        const count = closable ? indexOfMax(g) : Math.max(of.topK, indexOfMax(g) + 1);
        expect(frame.counts[s]).toBe(count);
        expect(frame.confidence[s]).toBeCloseTo(Math.max(...softmax(g)), 6);
        allocation.experts[path] = count;
        expertSum += count;
        for (let i = 0; i < experts; i++) {
          const r = values.slice(entries + i * rank, entries + (i + 1) * rank);
          expect(frame.ranks[s * experts + i]).toBe(indexOfMax(r) + 1);
          if (i >= count) continue;
          allocation.ranks[rankKey(path, i)] = indexOfMax(r) + 1;
          rankSum += indexOfMax(r) + 1;
        }
        const found = history.distributions(step, s);
        softmax(g).forEach((p, k) => {
          expect(found.size[k]).toBeCloseTo(p, 6);
        });
        softmax(values.slice(entries + rank, entries + 2 * rank)).forEach((p, k) => {
          expect(found.ranks[1][k]).toBeCloseTo(p, 6);
        });
        const own = { experts: { [path]: count }, ranks: allocation.ranks };
        expect(history.siteParameters(frame, s)).toBe(parameterCount(own, moe(dims)));
      });
      expect(frame.totals.experts).toBe(expertSum);
      expect(frame.totals.meanRank).toBeCloseTo(expertSum === 0 ? 0 : rankSum / expertSum, 10);
      expect(frame.totals.parameters).toBe(parameterCount(allocation, moe(dims)));
      expect(frame.totals.uniform).toBe(
        parameterCount(uniformAllocation(layers, targets, experts, rank), moe(dims)),
      );
      expect(frame.step).toBe(step);
      expect(frame.share).toBe(step / 100);
    },
  );
});

test('closed everywhere: no experts, mean rank 0, no parameters', () => {
  const of = report({ closable: true });
  const history = new SearchHistory(of);
  const stride = experts + 1 + experts * rank;
  history.append(steps(of, 0, 1, (_, i) => (i % stride === 0 ? 1 : 0)));
  expect(history.frame()!.totals).toMatchObject({ experts: 0, meanRank: 0, parameters: 0 });
});

test('before the start nothing is known', () => {
  const history = new SearchHistory(report());
  expect(history.frame()).toBeNull();
  expect(history.lastStep).toBe(-1);
  expect(history.length).toBe(0);
});

describe('settling and moves', () => {
  const of = report();
  const history = new SearchHistory(of);
  history.append(steps(of, 0, 8, withBest(3)));
  history.append(steps(of, 8, 30, withBest(2)));

  test('the window is a tenth of the search, at least ten', () => {
    expect(history.window).toBe(10);
    expect(new SearchHistory(report({ steps: 201 })).window).toBe(21);
  });

  test('a count settles when it has not moved for the window, and not before', () => {
    const settled = Array.from({ length: 38 }, (_, s) => history.frame(s)!.settled[0]);
    // The count moves at step 8, after 8 steps without a move: too few then, enough from step 18
    // on.
    expect(settled.slice(0, 18)).toEqual(Array(18).fill(0));
    expect(settled.slice(18)).toEqual(Array(20).fill(1));
    expect(history.frame()!.totals.settled).toBe(of.sites.length);
  });

  test('what it was before is known at every step', () => {
    expect(history.moved(0, 7)).toBeNull();
    expect(history.moved(0, 8)).toEqual({ was: 4, since: 8 });
    expect(history.moved(0, 37)).toEqual({ was: 4, since: 8 });
  });

  test('a move below the floor of top-k experts is none', () => {
    const low = new SearchHistory(of);
    low.append(steps(of, 0, 1, withBest(0)));
    low.append(steps(of, 1, 1, withBest(1)));
    expect(low.moved(0, 1)).toBeNull();
    expect(low.frame()!.counts[0]).toBe(2);
  });

  test("a site's history has size and confidence of each step", () => {
    const { step, size, confidence } = history.siteHistory(0);
    expect(step).toEqual(Array.from({ length: 38 }, (_, i) => i));
    expect(size).toEqual([...Array(8).fill(4), ...Array(30).fill(3)]);
    expect(confidence[5]).toBeCloseTo(Math.exp(2) / (Math.exp(2) + 3), 6);
  });
});

describe('one rank a linear', () => {
  const lora = parseRunConfig({ search: {}, adapter: { method: 'lora' } }, 'test');
  const of = (closable: boolean) =>
    report({ config: lora as SearchReport['config'], sizes: 'rank', experts: 1, closable });

  test.each([false, true])('ranks, open linears, parameters; closable: %s', (closable) => {
    const history = new SearchHistory(of(closable));
    const entries = rank + (closable ? 1 : 0);
    expect([history.most, history.entries, history.stride]).toEqual([rank, entries, entries]);
    // the first site's argmax is the first entry, the second's the last, the others' the second
    const best = (site: number) => [0, entries - 1][site] ?? 1;
    history.append(
      steps(of(closable), 0, 1, (_, i) => (i % entries === best(Math.floor(i / entries)) ? 2 : 0)),
    );
    const frame = history.frame()!;
    const low = closable ? 0 : 1;
    const sizes = [low, rank, low + 1, low + 1, low + 1, low + 1];
    expect(Array.from(frame.sizes)).toEqual(sizes);
    expect(Array.from(frame.counts)).toEqual(sizes.map((r) => Math.min(1, r)));
    const open = sizes.filter((r) => r > 0);
    expect(frame.totals).toMatchObject({
      open: open.length,
      meanRank: open.reduce((a, b) => a + b, 0) / open.length,
      parameters: sizes.reduce(
        (sum, r, s) => sum + r * (history.report.sites[s].inputs + history.report.sites[s].outputs),
        0,
      ),
    });
    expect(frame.confidence[0]).toBeCloseTo(Math.exp(2) / (Math.exp(2) + entries - 1), 6);
    const found = history.distributions(0, 1);
    expect(found.ranks).toEqual([]);
    expect(found.size[entries - 1]).toBeCloseTo(frame.confidence[1], 6);
    expect(history.siteHistory(1).size).toEqual([rank]);
  });
});

describe('memory', () => {
  const of = report({ steps: 200 });
  const bytes = 4 * of.sites.length * (experts + experts * rank);
  const history = new SearchHistory(of, 10 * bytes);
  for (let s = 0; s <= 100; s += 5)
    history.append(
      steps(of, s, 5, (step, i) => (i < experts ? (i === (step < 51 ? 3 : 2) ? 1 : 0) : noise(i))),
    );

  test('beyond the cap every second step goes, the start and the newest stay', () => {
    const kept = Array.from({ length: history.length }, (_, i) => history.stepAt(i));
    expect(history.every).toBe(16);
    expect(kept).toEqual([0, 16, 32, 48, 64, 80, 96, 104]);
    expect(history.lastStep).toBe(104);
  });

  test('moves are known of steps that are not kept', () => {
    expect(history.moved(0, 104)).toEqual({ was: 4, since: 51 });
    expect(history.isSettled(0, 70)).toBe(false);
    expect(history.isSettled(0, 71)).toBe(true);
  });

  test('a step leads to the last kept one that is not after it', () => {
    expect([0, 15, 16, 103, 104, 999].map((s) => history.stepAt(history.indexOf(s)))).toEqual([
      0, 0, 16, 96, 104, 104,
    ]);
  });

  test('one step is kept whatever the cap', () => {
    const tiny = new SearchHistory(of, 1);
    tiny.append(steps(of, 0, 7, (_, i) => noise(i)));
    expect(tiny.frame()!.step).toBe(6);
    expect(tiny.length).toBeLessThanOrEqual(2);
  });
});

test('appending tells listeners and grows the version; the newest frame is decoded once', () => {
  const of = report();
  const history = new SearchHistory(of);
  let calls = 0;
  const stop = history.subscribe(() => calls++);
  history.append(steps(of, 0, 2, (_, i) => noise(i)));
  stop();
  history.append(steps(of, 2, 1, (_, i) => noise(i)));
  expect(calls).toBe(1);
  expect(history.version).toBe(2);
  expect(history.frame()).toBe(history.frame());
});

test('steps out of order and values of another layout are refused', () => {
  const of = report();
  const history = new SearchHistory(of);
  history.append(steps(of, 0, 2, (_, i) => noise(i)));
  expect(() => history.append(steps(of, 1, 1, (_, i) => noise(i)))).toThrow(
    'upper step 1 came after step 1',
  );
  expect(() => history.append(steps(report({ closable: true }), 2, 1, (_, i) => noise(i)))).toThrow(
    'another layout',
  );
});

test('a distribution does not overflow', () => {
  expect(Array.from(distribution([0, 1000, 1000], 1, 2))).toEqual([0.5, 0.5]);
});
