// The search's own ops: sizes from GuidedSelection Vectors, what they make of each expert's columns,
// and the gradients of the vectors by either estimator (method §2).
import factorsCode from '../../shaders/gsv/column_factors.wgsl?raw';
import factorsBackwardCode from '../../shaders/gsv/column_factors_backward.wgsl?raw';
import dualCode from '../../shaders/gsv/dual_step.wgsl?raw';
import masksCode from '../../shaders/gsv/expert_masks.wgsl?raw';
import gradientCode from '../../shaders/gsv/gsv_gradient.wgsl?raw';
import costCode from '../../shaders/gsv/parameter_cost.wgsl?raw';
import sizesCode from '../../shaders/gsv/sizes.wgsl?raw';
import sumsCode from '../../shaders/gsv/token_sums.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import type { Recorder } from '../graph/recorder.ts';
import { type Tensor, tensor } from '../graph/tensor.ts';
import { EXPERT_WORDS, type Experts, type Gates, type Logits, SITE_WORDS } from './adapter.ts';

const sizesKernel = defineKernel('gsv_sizes', sizesCode);
const factorsKernel = defineKernel('column_factors', factorsCode);
const factorsBackwardKernel = defineKernel('column_factors_backward', factorsBackwardCode);
const masksKernel = defineKernel('expert_masks', masksCode);
const sumsKernel = defineKernel('token_sums', sumsCode);
const gradientKernel = defineKernel('gsv_gradient', gradientCode);
const costKernel = defineKernel('parameter_cost', costCode);
const dualKernel = defineKernel('dual_step', dualCode);

/**
 * The GSVs of a group: experts (sites, E_max, or E_max + 1 where sites can close) and ranks
 * (sites·E_max, R_max). Where sites have one rank each there are no expert GSVs, and rank GSVs have
 * R_max + 1 entries where sites can close.
 */
export interface Gsvs {
  experts: Tensor | null;
  ranks: Tensor;
}

/** A group of sites during the search: every site has E_max experts of rank R_max. */
export interface SearchGroup {
  sites: number;
  experts: number; // E_max
  rank: number; // R_max
  topK: number; // K
  /** s = α / R_max. */
  scale: number;
  estimator: 'paper' | 'survival';
  closable: boolean;
  /** The group's first place among all sizes: per site the open experts, then each rank. */
  start: number;
}

/** λ's start and its rate with a budget (method §2). */
export const DUAL_START = 0.1;
export const DUAL_RATE = 0.05;

const closedOf = (g: SearchGroup): number => (g.estimator === 'paper' ? 1e-4 : 0);
const floorOf = (g: SearchGroup): number => (g.closable ? 0 : g.topK);
/** 1 where a rank GSV has an entry for rank 0. */
const rankZero = (g: SearchGroup, ranks: Tensor): number => ranks.shape[1] - g.rank;
const flag = (on: boolean): 0 | 1 => (on ? 1 : 0);

/**
 * Writes a group's sizes into its experts' table: by argmax, or drawn from softmax(g) by a hash of
 * the step's seed and number, of which each is a pure function (method §2).
 */
export function writeSizes(
  rec: Recorder,
  group: SearchGroup,
  gsvs: Gsvs,
  { table }: Experts,
  mode: 'argmax' | 'sampled',
): void {
  const { sites, experts, start } = group;
  const launch = (g: Tensor, count: number, params: Record<string, number>) =>
    rec.launch({
      kernel: sizesKernel,
      tensors: { g, table },
      params: { count, experts, start, sampled: flag(mode === 'sampled'), ...params },
      threads: count,
    });
  if (gsvs.experts)
    launch(gsvs.experts, sites, {
      length: gsvs.experts.shape[1],
      each: 1,
      first: 0,
      floor: floorOf(group),
      closable: flag(group.closable),
      slot: 2,
      stride: SITE_WORDS,
    });
  launch(gsvs.ranks, sites * experts, {
    length: gsvs.ranks.shape[1],
    each: experts,
    first: 1,
    floor: 1,
    closable: rankZero(group, gsvs.ranks),
    slot: SITE_WORDS * sites + 2,
    stride: EXPERT_WORDS,
  });
}

/**
 * What the columns of a group are multiplied by: s m_c e_c (method §2). Its backward adds to the
 * gradients of the row scales e, and through the row masks m to those of the rank GSVs.
 * @param rowScale e (ΣER)
 * @param ranks the rank GSVs
 * @returns (ΣER)
 */
export function columnFactors(
  rec: Recorder,
  group: SearchGroup,
  { table, columns }: Experts,
  rowScale: Tensor,
  ranks: Tensor,
): Tensor {
  const { sites, rank, scale } = group;
  const factor = tensor('column factors', [columns], { requiresGrad: true });
  const params = {
    columns,
    experts: SITE_WORDS * sites,
    rank,
    scale,
    closed: closedOf(group),
  };
  const threads = columns;
  rec.launch({
    kernel: factorsKernel,
    tensors: { table, row_scale: rowScale, factor },
    params,
    threads,
  });
  rec.onBackward(() => {
    const d_factor = rec.gradOf(factor);
    if (!d_factor) return;
    const launch = (out: Tensor, masks: 0 | 1) =>
      rec.launch({
        kernel: factorsBackwardKernel,
        tensors: { table, row_scale: rowScale, d_factor, out },
        params: { ...params, masks },
        threads,
      });
    if (rec.wants(rowScale)) launch(rec.gradTarget(rowScale).grad, 0);
    if (!rec.wants(ranks)) return;
    const masks = tensor('row masks', [columns]);
    launch(masks, 1);
    addGsvGradient(rec, group, 'ranks', ranks, masks);
  });
  return factor;
}

/**
 * The counts of open experts as something to learn: their GSVs get the estimator's gradient, from
 * ∂L/∂w of the gates (method §2). Recorded by `gate` before its own backward.
 */
export function learnCounts(
  rec: Recorder,
  group: SearchGroup,
  { table, experts }: Experts,
  { h, start }: Logits,
  { w, dw }: Gates,
  gsv: Tensor,
): void {
  const { sites } = group;
  const [tokens, width] = h.shape;
  rec.onBackward(() => {
    if (!rec.wants(gsv)) return;
    const masks = tensor('expert masks', [tokens, experts]);
    rec.launch({
      kernel: masksKernel,
      tensors: { h, table, w, dw, masks },
      params: {
        tokens,
        sites,
        experts,
        width,
        start,
        survival: flag(group.estimator === 'survival'),
        first_free: floorOf(group),
      },
      threads: tokens * sites,
    });
    const out = tensor('expert mask sums', [experts]);
    rec.launch({
      kernel: sumsKernel,
      tensors: { x: masks, out },
      params: { tokens, columns: experts },
      workgroups: [Math.ceil(experts / 8), 1, 1],
    });
    addGsvGradient(rec, group, 'experts', gsv, out);
  });
}

/** Adds ∂L/∂g of a bank of GSVs to its gradient, from those of its masks (method §2). */
function addGsvGradient(
  rec: Recorder,
  group: SearchGroup,
  bank: keyof Gsvs,
  g: Tensor,
  d_masks: Tensor,
): void {
  const [count, length] = g.shape;
  const experts = bank === 'experts';
  rec.launch({
    kernel: gradientKernel,
    tensors: { g, d_masks, grad: rec.gradTarget(g).grad },
    params: {
      count,
      length,
      survival: flag(group.estimator === 'survival'),
      first_free: experts ? floorOf(group) : 0,
      closable: experts ? flag(group.closable) : rankZero(group, g),
      closed: experts ? 0 : closedOf(group),
    },
    threads: count,
  });
}

/**
 * What the cost of parameters needs (method §2): [λ, share], each site's expected parameters, and
 * params(E_max, R_max) of all sites.
 */
export interface CostState {
  cost: Tensor;
  expected: Tensor;
  most: number;
}

/**
 * Writes the expected parameters of a group's sites, and where `grad` is to be changed adds
 * λ·∂(E[params]/params(E_max, R_max))/∂g.
 * @param dims each site's C + O and C @param first the group's first site
 */
export function parameterCost(
  rec: Recorder,
  group: SearchGroup,
  dims: readonly (readonly [number, number])[],
  first: number,
  gsv: Gsvs,
  state: CostState,
  addGradient: boolean,
): void {
  const { sites, experts, rank } = group;
  const counts = gsv.experts ?? gsv.ranks;
  const zeros = new Float32Array(sites * rank);
  // With one rank a site, its rows count as experts of rank 1 without a router.
  const sized = gsv.experts
    ? {
        params: { experts, rank, floor: floorOf(group) },
        rank_gsv: gsv.ranks,
        d_ranks: rec.gradTarget(gsv.ranks).grad,
        routed: 1,
      }
    : {
        params: { experts: rank, rank: 1, floor: 1 - rankZero(group, gsv.ranks) },
        rank_gsv: tensor('ranks of rows', [sites, rank], { kind: 'constant', data: zeros }),
        d_ranks: tensor('unused', [sites, rank]),
        routed: 0,
      };
  const data = Float32Array.from(dims.flatMap(([both, input]) => [both, sized.routed * input]));
  rec.launch({
    kernel: costKernel,
    tensors: {
      expert_gsv: counts,
      rank_gsv: sized.rank_gsv,
      dims: tensor('site dims', [sites, 2], { kind: 'constant', data }),
      cost: state.cost,
      expected: state.expected,
      d_experts: rec.gradTarget(counts).grad,
      d_ranks: sized.d_ranks,
    },
    params: {
      ...sized.params,
      sites,
      closable: flag(group.closable),
      first,
      rate: addGradient ? 1 / state.most : 0,
    },
    threads: sites,
  });
}

/**
 * share = E[params]/params(E_max, R_max); with a budget b also λ ← max(0, λ + 0.05·(share − b))
 * (method §2).
 */
export function dualStep(
  rec: Recorder,
  { cost, expected, most }: CostState,
  budget: number | null,
): void {
  rec.launch({
    kernel: dualKernel,
    tensors: { expected, cost },
    params: {
      sites: expected.shape[0],
      inverse: 1 / most,
      rate: budget === null ? 0 : DUAL_RATE,
      budget: budget ?? 0,
    },
    workgroups: 1,
  });
}
