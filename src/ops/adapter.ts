// Between an adapter's down-projections and the columns that B reads: routing to experts, mixing
// their columns, routing statistics and the balance loss.
import balanceCode from '../../shaders/adapter/balance.wgsl?raw';
import factorCode from '../../shaders/adapter/factor_gradient.wgsl?raw';
import gateCode from '../../shaders/adapter/gate.wgsl?raw';
import gateBackwardCode from '../../shaders/adapter/gate_backward.wgsl?raw';
import routingCode from '../../shaders/adapter/routing.wgsl?raw';
import scaleCode from '../../shaders/adapter/scale_columns.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { type Recorder, THREADS } from '../graph/recorder.ts';
import { sideBySide, sizeOf, type Tensor, tensor, wholeOf } from '../graph/tensor.ts';
import { invariant } from '../util/error.ts';

const gateKernel = defineKernel('gate', gateCode);
const gateBackwardKernel = defineKernel('gate_backward', gateBackwardCode);
const scaleKernel = defineKernel('scale_columns', scaleCode);
const factorKernel = defineKernel('factor_gradient', factorCode);
const routingKernel = defineKernel('routing', routingCode);
const balanceKernel = defineKernel('balance', balanceCode);

/** One site of a group, as the gate sees it. */
export interface GateSite {
  /** Columns of each expert. */
  ranks: readonly number[];
  /** K: experts kept at most. */
  topK: number;
}

/** The experts of a group of sites, and the columns that each of them has. */
export interface Experts {
  sites: number;
  experts: number;
  columns: number;
  /**
   * u32, per site first expert, experts, open ones, K; then per expert first column, end column,
   * open rows. A constant, or a state that a search writes open experts and rows into.
   */
  table: Tensor;
}

/** Words of the table before its experts: `SITE_WORDS` a site. */
export const SITE_WORDS = 4;
/** Words of an expert in the table. */
export const EXPERT_WORDS = 3;

/** The experts of a group with all of them, and all of their rows, open. */
export function expertsOf(sites: readonly GateSite[], kind: 'constant' | 'state'): Experts {
  const ranks = sites.flatMap((s) => s.ranks);
  const words: number[] = [];
  let expert = 0;
  for (const { ranks: own, topK } of sites) {
    words.push(expert, own.length, own.length, topK);
    expert += own.length;
  }
  let columns = 0;
  for (const rank of ranks) {
    words.push(columns, columns + rank, rank);
    columns += rank;
  }
  const data = Uint32Array.from(words);
  const table = tensor('experts', [data.length], { kind, dtype: 'u32', data });
  return {
    sites: sites.length,
    experts: ranks.length,
    columns,
    table,
  };
}

/** f, P and n of all routed experts of a model, and the real tokens they are counted over. */
export interface Routing {
  /** 3·total + 1 floats. */
  state: Tensor;
  total: number;
  /** Real tokens of each row (rows), u32. */
  lengths: Tensor;
  /** Tokens a row. */
  seqLen: number;
}

/** Floats of the routing state of `experts` experts. */
export const routingSize = (experts: number): number => 3 * experts + 1;

/** Router logits: the columns of h (N, width) from `start`, one an expert. */
export interface Logits {
  h: Tensor;
  start: number;
}

/** Of every token and expert, each (N, ΣE): p, w, and in the backward pass ∂L/∂w. */
export interface Gates {
  p: Tensor;
  w: Tensor;
  dw: Tensor;
}

/**
 * Softmax over a site's open experts, the K largest of them, renormalised; and u_c = w_i factor_c h_c
 * for the columns of each expert (method §1).
 * @param logits h (N, width): the experts' columns first, router logits from `start`; its gradient
 *   is complete after this op's backward
 * @param factor (ΣR); where it requires a gradient, that is summed over tokens
 * @param first the group's first expert in the routing statistics
 * @param counted whether f and P are counted, which the balance loss needs
 * @param learn records what learns from the gates: its backward finds ∂L/∂w there
 * @returns u (N, ΣR)
 */
export function gate(
  rec: Recorder,
  { h, start }: Logits,
  experts: Experts,
  factor: Tensor,
  { routing, first, counted }: { routing: Routing; first: number; counted: boolean },
  learn?: (gates: Gates) => void,
): Tensor {
  const { table, sites, experts: count, columns } = experts;
  const [tokens, width] = h.shape;
  invariant(sizeOf(factor) === columns && width >= columns, 'gate: columns do not match');
  const shape = [tokens, count];
  const [p, w, dw] = sideBySide(
    ['p', 'w', 'dw'].map((name) => ({ name, shape, requiresGrad: false })),
  );
  learn?.({ p, w, dw });
  const u = tensor(`mixed ${h.name}`, [tokens, columns], { requiresGrad: true });
  const sizes = { tokens, sites, experts: count };
  const params = { ...sizes, width, start, columns, stride: w.offset };
  const flops = 2 * tokens * columns;
  rec.launch({
    kernel: gateKernel,
    tensors: { h, factor, table, gates: wholeOf(p), u },
    params,
    threads: tokens * count,
    flops,
  });
  const { state, lengths, seqLen, total } = routing;
  const place = { seq_len: seqLen, first, total };
  if (counted && !rec.recomputing)
    rec.launch({
      kernel: routingKernel,
      tensors: { p, w, table, lengths, routing: state },
      params: { ...sizes, ...place },
      workgroups: [Math.ceil(count / 8), 1, 1],
    });
  rec.onBackward(() => {
    const du = rec.gradOf(u);
    if (!du) return;
    invariant(counted || !rec.auxiliary, 'the balance loss needs routing statistics');
    const { grad: dh, accumulate } = rec.gradTarget(h);
    invariant(!accumulate, 'a gate is the only reader of its columns and logits');
    rec.launch({
      kernel: gateBackwardKernel,
      tensors: { h, factor, table, du, routing: state, lengths, gates: wholeOf(p), dh },
      params: { ...params, ...place, balanced: rec.auxiliary ? 1 : 0 },
      workgroups: Math.ceil(tokens / Math.max(1, Math.floor(THREADS / count))),
      flops: 2 * flops,
    });
    factorGradient(rec, h, experts, factor, du, w);
  });
  return u;
}

/**
 * u_c = factor_c h_c: what an adapter without gates makes of its columns during a search.
 * @param h (N, ΣR) @param factor (ΣR); where it requires a gradient, that is summed over tokens
 */
export function scaleColumns(rec: Recorder, h: Tensor, experts: Experts, factor: Tensor): Tensor {
  const [tokens, columns] = h.shape;
  invariant(sizeOf(factor) === columns, 'scaled columns do not match');
  const u = tensor(`scaled ${h.name}`, [tokens, columns], { requiresGrad: true });
  const launch = (x: Tensor, out: Tensor) =>
    rec.launch({
      kernel: scaleKernel,
      tensors: { x, factor, out },
      params: { columns, elements: tokens * columns },
      threads: tokens * columns,
      flops: tokens * columns,
    });
  launch(h, u);
  rec.onBackward(() => {
    const du = rec.gradOf(u);
    if (!du) return;
    const { grad: dh, accumulate } = rec.gradTarget(h);
    invariant(!accumulate, 'scaled columns have one reader');
    launch(du, dh);
    factorGradient(rec, h, experts, factor, du, null);
  });
  return u;
}

/** Adds Σ over tokens of ∂L/∂factor, where it is wanted; without gates every w_i is 1. */
function factorGradient(
  rec: Recorder,
  h: Tensor,
  { table, sites, experts, columns }: Experts,
  factor: Tensor,
  du: Tensor,
  w: Tensor | null,
): void {
  if (!rec.wants(factor)) return;
  const [tokens, width] = h.shape;
  const { grad, accumulate } = rec.gradTarget(factor);
  rec.launch({
    kernel: factorKernel,
    tensors: { h, w: w ?? factor, table, du, d_factor: grad }, // w: bound, not read without gates
    params: { tokens, sites, experts, width, columns, gated: w ? 1 : 0, accumulate },
    workgroups: Math.ceil(columns / 8),
    flops: 3 * tokens * columns,
  });
}

/** Adds Σ over sites of L_bal to the statistics (method §1). */
export function balance(rec: Recorder, { state, total }: Routing, statistics: Tensor): void {
  rec.launch({
    kernel: balanceKernel,
    tensors: { routing: state, statistics },
    params: { total },
    workgroups: 1,
  });
}
