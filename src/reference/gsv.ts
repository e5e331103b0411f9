// GuidedSelection Vectors in float64: sizes, masks and both gradient estimators (method §2), as
// plain loops.
import { gateOf } from './adapter.ts';
import { mix } from './elementwise.ts';

const sigmoid = (v: number): number => 1 / (1 + Math.exp(-v));

/** softmax(g). */
export function distribution(g: ArrayLike<number>): number[] {
  const top = Math.max(...Array.from(g));
  const e = Array.from(g, (v) => Math.exp(v - top));
  const sum = e.reduce((a, b) => a + b, 0);
  return e.map((v) => v / sum);
}

/** The index of the largest entry; ties go to the lower one. */
export const argmax = (g: ArrayLike<number>): number =>
  Array.from(g).reduce((best, v, i) => (v > g[best] ? i : best), 0);

/**
 * Open experts of a site: max(K, argmax + 1); with `closable` g has E + 1 entries and the index
 * itself is the count.
 */
export const openExperts = (g: ArrayLike<number>, topK: number, closable = false): number =>
  closable ? argmax(g) : Math.max(topK, argmax(g) + 1);

/**
 * The index drawn from softmax(g) for one vector: a pure function of (seed, pair, place among the
 * sizes).
 */
export function drawIndex(g: ArrayLike<number>, seed: number, pair: number, place: number): number {
  const bits = mix((place ^ mix((pair ^ mix(seed)) >>> 0)) >>> 0);
  const reach = ((bits >>> 8) + 0.5) / 16777216;
  let sum = 0;
  const found = distribution(g).findIndex((v) => {
    sum += v;
    return sum > reach;
  });
  return found < 0 ? g.length - 1 : found;
}

/** The gate of one token among the first `open` experts: weights of all, 0 for closed ones. */
export function prefixGate(z: readonly number[], open: number, topK: number): number[] {
  return gateAmong(
    z,
    z.map((_, i) => i < open),
    topK,
  );
}

/** The gate of one token among a set of experts: min(K, |S|) kept, renormalised. */
export function gateAmong(
  z: readonly number[],
  member: readonly boolean[],
  topK: number,
): number[] {
  const members = z.map((_, i) => i).filter((i) => member[i]);
  const w = z.map(() => 0);
  if (members.length === 0) return w;
  const inner = gateOf(
    members.map((i) => z[i]),
    Math.min(topK, members.length),
  ).w;
  members.forEach((i, n) => {
    w[i] = inner[n];
  });
  return w;
}

/**
 * ∂L/∂mask_j of the `paper` expert mask for one token, from ∂L/∂w: the mask adds to the logits, so
 * it is the gate's own logit gradient.
 */
export function paperExpertMask(w: readonly number[], dw: readonly number[]): number[] {
  const mean = w.reduce((a, v, i) => a + v * dw[i], 0);
  return w.map((v, i) => v * (dw[i] - mean));
}

/**
 * Estimator `paper`: ∂L/∂g from d_j = ∂L/∂mask_j. With k* the open prefix's last index: ∂L/∂σ_{k*}
 * = Σ_{i≤k*} d_i σ_i, and `closed`·d_j elsewhere (0 for experts, 1e-4 for ranks); then through the
 * sigmoid.
 */
export function paperGradient(
  g: ArrayLike<number>,
  last: number,
  d: ArrayLike<number>,
  closed: 0 | 1e-4,
): Float64Array {
  const s = Array.from(g, sigmoid);
  return Float64Array.from(s, (v, j) => {
    let slope = closed * d[j];
    if (j === last) {
      slope = 0;
      for (let i = 0; i <= last; i++) slope += d[i] * s[i];
    }
    return slope * v * (1 - v);
  });
}

/**
 * P(size > j) for every j: Σ_{k≥j} π_k, or Σ_{k>j} π_k with `closable`; the first `floor` are 1.
 */
export function survival(g: ArrayLike<number>, floor = 0, closable = false): number[] {
  const p = distribution(g);
  const sizes = closable ? p.length - 1 : p.length;
  return Array.from({ length: sizes }, (_, j) =>
    j < floor ? 1 : p.slice(closable ? j + 1 : j).reduce((a, v) => a + v, 0),
  );
}

/**
 * Estimator `survival`: ∂L/∂g_k = Σ_j ∂L/∂m_j · π_k([k ≥ j] − soft_j), straight through; the first
 * `floor` sizes are constant.
 */
export function survivalGradient(
  g: ArrayLike<number>,
  dm: ArrayLike<number>,
  floor = 0,
  closable = false,
): Float64Array {
  const p = distribution(g);
  const soft = survival(g, floor, closable);
  return Float64Array.from(p, (v, k) => {
    let sum = 0;
    for (let j = floor; j < soft.length; j++)
      sum += dm[j] * v * ((closable ? k > j : k >= j) ? 1 - soft[j] : -soft[j]);
    return sum;
  });
}

/** A site's GSVs and dimensions: E[params] = Σ_i P(n>i)·(Σ_j P(r_i>j)·(C+O) + C) (method §2). */
export interface CostSite {
  experts: ArrayLike<number>;
  ranks: readonly ArrayLike<number>[];
  inputs: number;
  outputs: number;
}

/**
 * Expected parameters of one site, term by term as the method writes them; the first `floor`
 * experts are always there.
 */
export function expectedParameters(site: CostSite, floor: number, closable: boolean): number {
  const alive = survival(site.experts, floor, closable);
  const total = (v: readonly number[]) => v.reduce((a, b) => a + b, 0);
  return total(
    alive.map(
      (p, i) => p * (total(survival(site.ranks[i])) * (site.inputs + site.outputs) + site.inputs),
    ),
  );
}

/** ∂E[params]/∂g of one site's expert and rank GSVs. */
export function expectedParametersGradient(site: CostSite, floor: number, closable: boolean) {
  const { inputs, outputs } = site;
  const alive = survival(site.experts, floor, closable);
  const ones = (g: ArrayLike<number>) => Array.from(g, () => 1);
  const sizes = alive.map(
    (_, i) => survival(site.ranks[i]).reduce((a, b) => a + b, 0) * (inputs + outputs) + inputs,
  );
  return {
    experts: survivalGradient(site.experts, sizes, floor, closable),
    ranks: site.ranks.map((g, i) =>
      survivalGradient(g, ones(g)).map((v) => v * alive[i] * (inputs + outputs)),
    ),
  };
}

/** Δ_j = gate(S ∪ {j}) − gate(S \ {j}) of one token, S the open prefix. */
export function counterfactual(
  z: readonly number[],
  open: number,
  topK: number,
  j: number,
): number[] {
  const member = z.map((_, i) => i < open);
  const with_ = gateAmong(z, Object.assign([...member], { [j]: true }), topK);
  const without = gateAmong(z, Object.assign([...member], { [j]: false }), topK);
  return with_.map((v, i) => v - without[i]);
}

/**
 * ∂L/∂m_j of one token for the experts, from ∂L/∂w of all of them: Σ_i ∂L/∂w_i · Δ_{j,i}; 0 below
 * `floor`.
 */
export function survivalExpertMask(
  z: readonly number[],
  dw: readonly number[],
  open: number,
  topK: number,
  floor: number,
): number[] {
  return z.map((_, j) =>
    j < floor ? 0 : counterfactual(z, open, topK, j).reduce((a, v, i) => a + v * dw[i], 0),
  );
}

/** One site of the search: `experts` of rank `rank`, their sizes, and how many a token keeps. */
export interface SearchSite {
  experts: number;
  rank: number;
  topK: number;
  scale: number;
  /** Mask value of closed rows: 0, or 1e-4 with `paper`. */
  closed: number;
  open: number;
  ranks: readonly number[];
  /** Row scales e, one a column. */
  rowScale: readonly number[];
}

const maskOf = (s: SearchSite, c: number): number =>
  c % s.rank < s.ranks[Math.floor(c / s.rank)] ? 1 : s.closed;

/** u of one token: w_i s m_j e_c h_c. */
export function searchGate(
  h: readonly number[],
  z: readonly number[],
  s: SearchSite,
): { w: number[]; u: number[] } {
  const w = prefixGate(z, s.open, s.topK);
  return {
    w,
    u: h.map((v, c) => w[Math.floor(c / s.rank)] * s.scale * maskOf(s, c) * s.rowScale[c] * v),
  };
}

/**
 * Gradients of one token at one site, the balance loss left out: of h and z, of the row scales and
 * the rank mask (to be summed over tokens), and of the expert mask by either estimator.
 */
export function searchGateBackward(
  h: readonly number[],
  z: readonly number[],
  du: readonly number[],
  s: SearchSite,
  estimator: 'paper' | 'survival',
  floor: number,
) {
  const { w } = searchGate(h, z, s);
  const owner = (c: number) => Math.floor(c / s.rank);
  const dh = du.map((d, c) => w[owner(c)] * s.scale * maskOf(s, c) * s.rowScale[c] * d);
  const dRow = du.map((d, c) => maskOf(s, c) * w[owner(c)] * s.scale * d * h[c]);
  const dRankMask = du.map((d, c) => s.rowScale[c] * w[owner(c)] * s.scale * d * h[c]);
  const dw = w.map((_, i) =>
    du.reduce(
      (a, d, c) => a + (owner(c) === i ? d * s.scale * maskOf(s, c) * s.rowScale[c] * h[c] : 0),
      0,
    ),
  );
  const dz = paperExpertMask(w, dw);
  return {
    dh,
    dz,
    dRow,
    dRankMask,
    dExpertMask: estimator === 'paper' ? dz : survivalExpertMask(z, dw, s.open, s.topK, floor),
  };
}
