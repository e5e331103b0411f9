// The gate during the search, with its masks, and the gradients of the GuidedSelection Vectors by
// either estimator.
import dualCode from '../../shaders/gsv/dual_step.wgsl?raw';
import gradientCode from '../../shaders/gsv/gsv_gradient.wgsl?raw';
import sumsCode from '../../shaders/gsv/mask_sums.wgsl?raw';
import costCode from '../../shaders/gsv/parameter_cost.wgsl?raw';
import balanceCode from '../../shaders/gsv/search_balance.wgsl?raw';
import gateCode from '../../shaders/gsv/search_gate.wgsl?raw';
import backwardCode from '../../shaders/gsv/search_gate_backward.wgsl?raw';
import routingCode from '../../shaders/gsv/search_routing.wgsl?raw';
import sizesCode from '../../shaders/gsv/sizes.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import type { Recorder } from '../graph/recorder.ts';
import { sizeOf, type Tensor, tensor } from '../graph/tensor.ts';
import { invariant } from '../util/error.ts';
import type { Routing } from './adapter.ts';

const sizesKernel = defineKernel('gsv_sizes', sizesCode);
const gateKernel = defineKernel('search_gate', gateCode);
const backwardKernel = defineKernel('search_gate_backward', backwardCode);
const sumsKernel = defineKernel('mask_sums', sumsCode);
const routingKernel = defineKernel('search_routing', routingCode);
const balanceKernel = defineKernel('search_balance', balanceCode);
const gradientKernel = defineKernel('gsv_gradient', gradientCode);
const costKernel = defineKernel('parameter_cost', costCode);
const dualKernel = defineKernel('dual_step', dualCode);

/**
 * The GSVs of a group: experts (sites, E_max, or E_max + 1 where sites can close) and ranks
 * (sites·E_max, R_max). Also their gradients.
 */
export interface Gsvs {
  experts: Tensor;
  ranks: Tensor;
}

/** A group of sites during the search: every site has E_max experts of rank R_max. */
export interface SearchGroup {
  sites: number;
  experts: number; // E_max
  rank: number; // R_max
  kept: number; // K
  /** s = α / R_max. */
  scale: number;
  estimator: 'paper' | 'survival';
  closable: boolean;
  /** Where the group's sizes start: per site the open experts, then each expert's rank. */
  start: number;
}

/** λ's start and its rate with a budget (method §2). */
export const DUAL_START = 0.1;
export const DUAL_RATE = 0.05;

const closedOf = (g: SearchGroup): number => (g.estimator === 'paper' ? 1e-4 : 0);
const floorOf = (g: SearchGroup): number => (g.closable ? 0 : g.kept);

/**
 * Writes a group's sizes (u32): by argmax, or drawn from softmax(g) by a hash of the step's seed
 * and number, of which each is a pure function (method §2).
 */
export function writeSizes(
  rec: Recorder,
  group: SearchGroup,
  gsvs: Gsvs,
  sizes: Tensor,
  mode: 'argmax' | 'sampled',
): void {
  const { sites, experts, rank, start } = group;
  const sampled = mode === 'sampled' ? 1 : 0;
  const closable = group.closable ? 1 : 0;
  const launch = (
    g: Tensor,
    count: number,
    params: { length: number; each: number; first: number; floor: number; closable: number },
  ) =>
    rec.launch({
      kernel: sizesKernel,
      tensors: { g, sizes },
      params: { count, experts, start, sampled, ...params },
      workgroups: Math.ceil(count / 64),
    });
  launch(gsvs.experts, sites, {
    length: experts + closable,
    each: 1,
    first: 0,
    floor: floorOf(group),
    closable,
  });
  launch(gsvs.ranks, sites * experts, {
    length: rank,
    each: experts,
    first: 1,
    floor: 1,
    closable: 0,
  });
}

/**
 * The level whose gradients a backward pass is for: the lower level's parameters, or the masks
 * alone.
 */
export type Level = 'lower' | 'upper';

/**
 * Where a gate's gradients go: those of the row scales (ΣER, added to) and those of the masks (ΣER
 * rows, then ΣE experts; written).
 */
export interface MaskGradients {
  rowScale: Tensor;
  masks: Tensor;
}

/**
 * u of a group during the search (method §2). In an upper backward pass its gradient with respect
 * to h has ΣE more columns a row, which hold the expert masks per token; the product that reads it
 * goes by the stride.
 * @param h (N, ΣER + ΣE) @param rowScale e (ΣER) @param sizes u32, by `writeSizes`
 * @param pass `level` is asked when a backward pass is recorded, an upper one having no balance
 *   term; `routing`: whether f and P are counted
 * @returns u (N, ΣER), and gates (N, 2·ΣE): p, then w
 */
export function searchGate(
  rec: Recorder,
  h: Tensor,
  rowScale: Tensor,
  sizes: Tensor,
  group: SearchGroup,
  routing: Routing,
  pass: { level: Level; routing: boolean },
  out: MaskGradients,
) {
  const { sites, experts, rank, kept, scale, start } = group;
  const [tokens, width] = h.shape;
  const all = sites * experts;
  const columns = all * rank;
  invariant(
    width === columns + all && sizeOf(rowScale) === columns,
    'search gate: columns do not match the group',
  );
  const gates = tensor('search gates', [tokens, 2 * all]);
  const u = tensor(`masked ${h.name}`, [tokens, columns], { requiresGrad: true });
  const closed = closedOf(group);
  const workgroups = Math.ceil((tokens * sites) / 64);
  rec.launch({
    kernel: gateKernel,
    tensors: { h, sizes, row_scale: rowScale, gates, u },
    params: { tokens, sites, experts, rank, kept, start, scale, closed },
    workgroups,
    flops: 3 * tokens * columns,
  });
  if (pass.routing && !rec.recomputing) {
    rec.launch({
      kernel: routingKernel,
      tensors: { gates, sizes, lengths: routing.lengths, routing: routing.state },
      params: {
        tokens,
        time: routing.time,
        experts,
        all,
        kept,
        sizes_start: start,
        start: routing.start,
        total: routing.total,
      },
      workgroups: [Math.ceil(all / 8), 1, 1],
    });
  }
  rec.onBackward(() => {
    const du = rec.gradOf(u);
    if (!du) return;
    const upper = pass.level === 'upper' ? 1 : 0;
    invariant(upper || pass.routing, 'the balance term needs routing');
    const dh = tensor(`d ${h.name}`, [tokens, width + all * upper]);
    rec.provideGrad(h, dh);
    rec.launch({
      kernel: backwardKernel,
      tensors: {
        h,
        sizes,
        row_scale: rowScale,
        gates,
        du,
        routing: routing.state,
        lengths: routing.lengths,
        dh,
      },
      params: {
        tokens,
        time: routing.time,
        sites,
        experts,
        rank,
        kept,
        start,
        scale,
        closed,
        upper,
        survival: group.estimator === 'survival' ? 1 : 0,
        first_free: floorOf(group),
        routing_start: routing.start,
        routing_tokens: 2 * routing.total,
      },
      workgroups,
      flops: 6 * tokens * columns,
    });
    rec.launch({
      kernel: sumsKernel,
      tensors: {
        h,
        sizes,
        row_scale: rowScale,
        gates,
        du,
        dh,
        out: upper ? out.masks : out.rowScale,
      },
      params: { tokens, sites, experts, rank, start, upper, scale, closed },
      workgroups: Math.ceil((columns + all * upper) / 8),
      flops: 3 * tokens * columns,
    });
  });
  return { u, gates };
}

/**
 * Adds ∂L/∂g of a group's expert and rank GSVs to their gradients, from the mask gradients of one
 * backward pass (method §2).
 */
export function gsvGradients(
  rec: Recorder,
  group: SearchGroup,
  masks: Tensor,
  gsv: Gsvs,
  grad: Gsvs,
): void {
  const { sites, experts, rank } = group;
  const survival = group.estimator === 'survival' ? 1 : 0;
  const closable = group.closable ? 1 : 0;
  const all = sites * experts;
  const launch = (
    g: Tensor,
    d: Tensor,
    count: number,
    params: { length: number; start: number; first_free: number; closable: number; closed: number },
  ) =>
    rec.launch({
      kernel: gradientKernel,
      tensors: { g, d_masks: masks, grad: d },
      params: { count, survival, ...params },
      workgroups: Math.ceil(count / 64),
    });
  launch(gsv.experts, grad.experts, sites, {
    length: experts + closable,
    start: all * rank,
    first_free: floorOf(group),
    closable,
    closed: 0,
  });
  launch(gsv.ranks, grad.ranks, all, {
    length: rank,
    start: 0,
    first_free: 0,
    closable: 0,
    closed: closedOf(group),
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
  grad: Gsvs,
  state: CostState,
  addGradient: boolean,
): void {
  const { sites, experts, rank } = group;
  const data = Float32Array.from(dims.flat());
  rec.launch({
    kernel: costKernel,
    tensors: {
      expert_gsv: gsv.experts,
      rank_gsv: gsv.ranks,
      dims: tensor('site dims', [sites, 2], { kind: 'constant', data }),
      cost: state.cost,
      expected: state.expected,
      d_experts: grad.experts,
      d_ranks: grad.ranks,
    },
    params: {
      sites,
      experts,
      rank,
      floor: floorOf(group),
      closable: group.closable ? 1 : 0,
      first,
      rate: addGradient ? 1 / state.most : 0,
    },
    workgroups: Math.ceil(sites / 64),
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

/**
 * Adds Σ over all sites of L_bal to the statistics: the search counts open experts only (method
 * §2). `sizes` starts at 0.
 */
export function searchBalance(
  rec: Recorder,
  routing: Tensor,
  sizes: Tensor,
  sites: number,
  experts: number,
  statistics: Tensor,
): void {
  rec.launch({
    kernel: balanceKernel,
    tensors: { routing, sizes, statistics },
    params: { sites, experts },
    workgroups: 1,
  });
}
