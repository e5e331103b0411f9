// Where a search starts, its GSVs site by site, and the allocation that they come to.

import { expect, test } from 'vitest';
import { defaultSettings } from '../../adapters/methods/methods.ts';
import { siteDims } from '../../allocation/allocation.ts';
import { argmax } from '../../reference/gsv.ts';
import { layoutSearch, namedVectors } from './layout.ts';
import { initialSearchValues, searchSites, selection, siteValues } from './values.ts';

const dims = siteDims({ hidden: 32, heads: 4, kvHeads: 2, headDim: 8, feedForward: 48 });
const spec = {
  ...defaultSettings(),
  method: 'lora-moe' as const,
  experts: 8,
  targets: ['q_proj', 'v_proj', 'down_proj'] as const,
  rank: 5,
  topK: 2,
  alpha: 10,
  dropout: 0,
};
const [layers, experts] = [40, 8];
const layoutOf = (closable: boolean, count = layers) =>
  layoutSearch(spec, { estimator: 'survival', closable }, count, dims);

const moments = (v: Float32Array) => {
  const mean = v.reduce((a, x) => a + x, 0) / v.length;
  return { mean, deviation: Math.sqrt(v.reduce((a, x) => a + (x - mean) ** 2, 0) / v.length) };
};

test('the start: A and B ~ N(0, 0.02²), routers as in a fresh adapter, row scales 1', () => {
  const layout = layoutOf(false);
  const { lower } = initialSearchValues(layout, 'argmax', 1);
  for (const [{ down, dropped, sites, experts: all }, { rowScale }] of layout.banks) {
    const width = down.shape[1];
    const middle = down.offset + dropped * width;
    const a = moments(lower.subarray(down.offset, middle));
    expect(Math.abs(a.mean)).toBeLessThan(0.003);
    expect(Math.abs(a.deviation - 0.02)).toBeLessThan(0.003);
    const router = lower.subarray(middle, middle + all.experts * width);
    const bound = 1 / Math.sqrt(width);
    expect(Math.max(...router.map(Math.abs))).toBeLessThanOrEqual(bound);
    expect(Math.max(...router)).toBeGreaterThan(0.9 * bound);
    for (const { up } of sites)
      expect(
        moments(lower.subarray(up.offset, up.offset + up.shape[0] * up.shape[1])).deviation,
      ).toBeGreaterThan(0.017);
    expect(new Set(lower.subarray(rowScale.offset, rowScale.offset + rowScale.shape[1]))).toEqual(
      new Set([1]),
    );
  }
  expect(initialSearchValues(layout, 'argmax', 1).lower).toEqual(lower);
  expect(initialSearchValues(layout, 'argmax', 2).lower).not.toEqual(lower);
});

test('GSVs start as softmax(n), each argmax equally likely; with sampled sizes almost flat', () => {
  const layout = layoutOf(false);
  const { upper } = initialSearchValues(layout, 'argmax', 1);
  const flat = initialSearchValues(layout, 'sampled', 1).upper;
  const counts = new Array<number>(spec.rank).fill(0);
  for (const v of namedVectors(layout).upper) {
    const g = upper.subarray(v.bank.offset + v.first, v.bank.offset + v.first + v.count);
    expect(g.reduce((a, x) => a + x, 0)).toBeCloseTo(1, 5);
    if (v.count === spec.rank) counts[argmax(g)]++;
    const f = flat.subarray(v.bank.offset + v.first, v.bank.offset + v.first + v.count);
    expect(Math.max(...f.map(Math.abs))).toBeLessThan(0.06);
  }
  const expected = (layers * 3 * experts) / spec.rank;
  const chi2 = counts.reduce((a, n) => a + (n - expected) ** 2 / expected, 0);
  expect(chi2).toBeLessThan(20); // 4 degrees of freedom
});

test('the selection: max(K, argmax + 1) experts, or argmax itself where sites can close; ranks of the open ones', () => {
  for (const closable of [false, true]) {
    const layout = layoutOf(closable, 1);
    const upper = new Float32Array(layout.upper.size);
    const wanted = closable ? [0, 8, 1] : [0, 7, 1];
    searchSites(layout).forEach((site, n) => {
      for (const v of namedVectors(layout).upper.filter((w) => w.name.includes(`${site.path}.`))) {
        const expert = /experts\.(\d+)/.exec(v.name)?.[1];
        upper[
          v.bank.offset +
            v.first +
            (expert === undefined ? wanted[n] : (Number(expert) + n) % spec.rank)
        ] = 1;
      }
    });
    const found = selection(layout, siteValues(layout, upper));
    expect(Object.values(found.experts)).toEqual(closable ? [0, 8, 1] : [2, 8, 2]);
    expect(Object.keys(found.experts)).toEqual(
      ['self_attn.q_proj', 'self_attn.v_proj', 'mlp.down_proj'].map((s) => `model.layers.0.${s}`),
    );
    expect(found.ranks['model.layers.0.self_attn.v_proj.experts.3']).toBe(
      ((3 + 1) % spec.rank) + 1,
    );
    expect(Object.keys(found.ranks).length).toBe(
      Object.values(found.experts).reduce((a, b) => a + b, 0),
    );
  }
});

test('equal entries: the lower index', () => {
  const layout = layoutOf(true, 1);
  const found = selection(layout, siteValues(layout, new Float32Array(layout.upper.size)));
  expect(Object.values(found.experts)).toEqual([0, 0, 0]);
});
