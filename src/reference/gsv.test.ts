// The method's worked examples A, B, C and F, and the invariants of both estimators that need no
// device.
import { expect, test } from 'vitest';
import { expectGradient } from '../testing/gradient.ts';
import {
  argmax,
  counterfactual,
  distribution,
  drawIndex,
  expectedParameters,
  expectedParametersGradient,
  gateAmong,
  openExperts,
  paperExpertMask,
  paperGradient,
  prefixGate,
  survival,
  survivalExpertMask,
  survivalGradient,
} from './gsv.ts';

const close = (got: ArrayLike<number>, want: readonly number[], digits = 6) =>
  want.forEach((v, i) => expect(got[i], `entry ${i}`).toBeCloseTo(v, digits));
const [z, outputs] = [
  [1, 0, 2, -1],
  [1, 3, 2, 5],
];
const output = (w: readonly number[]) => w.reduce((a, v, i) => a + v * outputs[i], 0);
/** ∂L/∂w of L = (y − 1)²/2. */
const slopes = (y: number) => outputs.map((o) => (y - 1) * o);
/** The first step of AdamW: lr·g/(|g| + eps), whatever the gradient's size. */
const adamStep = (g: readonly number[], gradient: ArrayLike<number>) =>
  g.map((v, i) => v - (0.003 * gradient[i]) / (Math.abs(gradient[i]) + 1e-8));

test('A: expert GSV, paper', () => {
  const g = [0.1, 0.2, 0.4, 0.3];
  expect(openExperts(g, 2)).toBe(3);
  const w = prefixGate(z, 3, 2);
  close(w, [0.2689414, 0, 0.7310586, 0]);
  const y = output(w);
  expect(y).toBeCloseTo(1.7310586, 6);
  expect((y - 1) ** 2 / 2).toBeCloseTo(0.2672233, 6);
  const d = paperExpertMask(w, slopes(y));
  close(d, [-0.1437348, 0, 0.1437348, 0]);
  const gradient = paperGradient(g, 2, d, 0);
  close(gradient, [0, 0, 0.0025454, 0]);
  close(adamStep(g, gradient), [0.1, 0.2, 0.397, 0.3]);
  expect(openExperts(adamStep(g, gradient), 2)).toBe(3);
  expect(Math.abs(paperGradient([0.2, 0.2, 0.2, 0.2], 2, d, 0)[2])).toBeLessThan(1e-15);
});

test('B: rank GSV, paper', () => {
  const g = [0.2, 0.5, 0.1];
  const [a, b, s] = [[0.5, -1, 2], [1, 0.5, -1], 2];
  const d = a.map((v, j) => s * v * b[j]);
  expect(d).toEqual([1, -1, -4]);
  const mask = [1, 1, 1e-4];
  expect(mask.reduce((sum, m, j) => sum + m * d[j], 0)).toBeCloseTo(-0.0004, 12);
  const gradient = paperGradient(g, argmax(g), d, 1e-4);
  close(gradient, [2.4751657e-5, -1.7067223e-2, -9.9750416e-5], 9);
  // Entries this small are not far above Adam's eps.
  close(adamStep(g, gradient), [0.1970012, 0.503, 0.1029997]);
  expect(argmax(g) + 1).toBe(2);
});

test('C: the bilevel gradient; first-order is 0, and accumulating all four passes has the other sign', () => {
  const [a, w, xi] = [0.5, 0, 0.1];
  const dwL1 = (v: number) => v - a;
  const daL1 = (v: number) => -(v - a);
  const w1 = w - xi * dwL1(w);
  const v = w1 - 1;
  const e = 0.01 / Math.abs(v);
  const difference = (daL1(w + e * v) - daL1(w - e * v)) / (2 * e);
  expect(w1).toBeCloseTo(0.05, 15);
  expect(0 - xi * difference).toBeCloseTo(-0.095, 12);
  const objective = (at: number) => (w - xi * (w - at) - 1) ** 2 / 2;
  expect((objective(a + 1e-5) - objective(a - 1e-5)) / 2e-5).toBeCloseTo(-0.095, 9);
  // Gradients of both levels never zeroed: v has ∇L1's −0.5 in it, and ∇_a sums over w, w′, w + εv
  // and w − εv.
  const v4 = dwL1(w) + v;
  const e4 = 0.01 / Math.abs(v4);
  const plus = daL1(w) + daL1(w + e4 * v4);
  expect(daL1(w) - (xi * (plus - (plus + daL1(w - e4 * v4)))) / (2 * e4)).toBeCloseTo(4.0525, 12);
});

test('F: expert GSV, survival, with the third expert open and closed', () => {
  const g = [0.1, 0.2, 0.4, 0.3];
  close(counterfactual(z, 3, 2, 2), [-0.4621172, -0.2689414, 0.7310586, 0]);
  close(counterfactual(z, 3, 2, 3), [0, 0, 0, 0]);
  close(survival(g, 2), [1, 1, 0.549834, 0.2611826]);
  const dm = survivalExpertMask(z, slopes(output(prefixGate(z, 3, 2))), 3, 2, 2);
  expect(dm[2]).toBeCloseTo(0.1412228, 6);
  close(survivalGradient(g, dm, 2), [-0.0166043, -0.0183506, 0.0183506, 0.0166043]);

  const other = [0.1, 0.4, 0.2, 0.3];
  expect(openExperts(other, 2)).toBe(2);
  const y = output(prefixGate(z, 2, 2));
  expect(y).toBeCloseTo(1.5378828, 6);
  const closed = survivalExpertMask(z, slopes(y), 2, 2, 2);
  close(counterfactual(z, 2, 2, 2), [-0.4621172, -0.2689414, 0.7310586, 0]);
  expect(closed[2]).toBeCloseTo(0.1039059, 6);
  close(survivalGradient(other, closed, 2), [-0.0110542, -0.0149216, 0.0123391, 0.0136368]);
});

test('paper: the mask gradient of the open experts sums to 0, and the constant added to them is free', () => {
  const w = prefixGate([0.3, -0.2, 1.1, 0.9, 0.1], 4, 2);
  const d = paperExpertMask(w, [0.5, -2, 1.5, 0.25, 9]);
  expect(Math.abs(d.reduce((a, v) => a + v, 0))).toBeLessThan(1e-15);
  close(prefixGate([0.8, 0.3, 1.6, 1.4, 0.6], 4, 2), w, 12);
});

test('survival: the gradient is the derivative of Σ dm·soft, floors and closable sites included', () => {
  const g = [0.3, -0.1, 0.7, 0.2, 0.05];
  const dm = [0.4, -1, 0.3, 2, -0.5];
  for (const [floor, closable] of [
    [0, false],
    [2, false],
    [0, true],
  ] as const) {
    const objective = (at: Float64Array) =>
      survival(at, floor, closable).reduce((a, v, j) => a + (j < floor ? 0 : v * dm[j]), 0);
    expectGradient(objective, g, survivalGradient(g, dm, floor, closable));
  }
  expect(survival(g, 0, true).length).toBe(4);
  expect(survival(g, 0, true)[0]).toBeCloseTo(1 - distribution(g)[0], 12);
});

test('a closable site: the empty set has gate 0, and its first expert is judged by the gate it would get', () => {
  expect(gateAmong([1, 2], [false, false], 2)).toEqual([0, 0]);
  expect(openExperts([0.9, 0.1, 0.2], 2, true)).toBe(0);
  close(counterfactual([1, 2], 0, 2, 0), [1, 0]);
  close(counterfactual([1, 2], 0, 2, 1), [0, 1]);
});

test('expected parameters: the gradient is the derivative, and peaked distributions give the exact count', () => {
  const [inputs, outputs, topK] = [5, 7, 2];
  const ranks = [
    [0.3, -0.1, 0.7],
    [0.2, 0.05, -0.4],
    [1, 0, 0.5],
  ];
  for (const closable of [false, true]) {
    const floor = closable ? 0 : topK;
    const experts = [0.4, -0.3, 0.6, 0.1].slice(closable ? 0 : 1);
    const got = expectedParametersGradient({ experts, ranks, inputs, outputs }, floor, closable);
    expectGradient(
      (at) => expectedParameters({ experts: at, ranks, inputs, outputs }, floor, closable),
      experts,
      got.experts,
    );
    ranks.forEach((g, i) => {
      const with_ = (at: Float64Array) => ranks.map((r, j) => (j === i ? at : r));
      expectGradient(
        (at) => expectedParameters({ experts, ranks: with_(at), inputs, outputs }, floor, closable),
        g,
        got.ranks[i],
      );
    });
    // Two experts, of ranks 3 and 1.
    const peak = (length: number, k: number) =>
      Array.from({ length }, (_, i) => (i === k ? 100 : 0));
    const site = {
      experts: peak(experts.length, closable ? 2 : 0),
      ranks: [peak(3, 2), peak(3, 0), peak(3, 1)],
      inputs,
      outputs,
    };
    expect(expectedParameters(site, floor, closable)).toBeCloseTo(
      4 * (inputs + outputs) + 2 * inputs,
      9,
    );
  }
});

test('drawn indices: a pure function of seed, pair and place, as likely as π says', () => {
  const g = [0.5, -1, 0, 1];
  const pairs = 4000;
  const counts = g.map(() => 0);
  for (let pair = 1; pair <= pairs; pair++) counts[drawIndex(g, 7, pair, 3)]++;
  const chi = distribution(g).reduce(
    (a, p, k) => a + (counts[k] - pairs * p) ** 2 / (pairs * p),
    0,
  );
  expect(chi).toBeLessThan(16.3); // 99.9 % of χ² with 3 degrees of freedom
  expect(drawIndex(g, 7, 1, 3)).toBe(drawIndex(g, 7, 1, 3));
  const drawn = (seed: number, place: number) =>
    Array.from({ length: 40 }, (_, i) => drawIndex(g, seed, i, place)).join('');
  expect(new Set([drawn(7, 3), drawn(8, 3), drawn(7, 4)]).size).toBe(3);
});
