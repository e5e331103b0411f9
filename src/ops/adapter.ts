// Between an adapter's down-projections and the columns that B reads: routing to experts, mixing
// their columns, routing statistics and the balance loss.
import balanceCode from '../../shaders/adapter/balance.wgsl?raw';
import factorCode from '../../shaders/adapter/factor_gradient.wgsl?raw';
import mixCode from '../../shaders/adapter/mix.wgsl?raw';
import mixBackwardCode from '../../shaders/adapter/mix_backward.wgsl?raw';
import routeCode from '../../shaders/adapter/route.wgsl?raw';
import routeBackwardCode from '../../shaders/adapter/route_backward.wgsl?raw';
import routingCode from '../../shaders/adapter/routing.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import type { Recorder } from '../graph/recorder.ts';
import { sizeOf, type Tensor, tensor } from '../graph/tensor.ts';
import { invariant } from '../util/error.ts';

const routeKernel = defineKernel('route', routeCode);
const routeBackwardKernel = defineKernel('route_backward', routeBackwardCode);
const mixKernel = defineKernel('mix', mixCode);
const mixBackwardKernel = defineKernel('mix_backward', mixBackwardCode);
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

/** What routing gives every token: p and w of all experts, each (N, ΣE). */
export interface Gates {
  p: Tensor;
  w: Tensor;
}

/**
 * Softmax over a site's open experts, the K largest of them, renormalised (method §1).
 * @param first the group's first expert in the routing statistics
 * @param counted whether f and P are counted, which the balance loss needs
 */
export function route(
  rec: Recorder,
  logits: Logits,
  experts: Experts,
  routing: Routing,
  first: number,
  counted: boolean,
): Gates {
  const { h, start } = logits;
  const { table, sites, experts: count } = experts;
  const [tokens, width] = h.shape;
  const gates = {
    p: tensor('p', [tokens, count]),
    w: tensor('w', [tokens, count], { requiresGrad: true }),
  };
  const shape = { tokens, sites, experts: count };
  const threads = tokens * sites;
  rec.launch({
    kernel: routeKernel,
    tensors: { h, table, ...gates },
    params: { ...shape, width, start },
    threads,
  });
  const { state, lengths, seqLen, total } = routing;
  const place = { seq_len: seqLen, first, total };
  if (counted && !rec.recomputing)
    rec.launch({
      kernel: routingKernel,
      tensors: { ...gates, table, lengths, routing: state },
      params: { ...shape, ...place },
      workgroups: [Math.ceil(count / 8), 1, 1],
    });
  rec.onBackward(() => {
    const dw = rec.gradOf(gates.w);
    if (!dw) return;
    invariant(counted || !rec.auxiliary, 'the balance loss needs routing statistics');
    const { grad: dh, accumulate } = rec.gradColumns(h, start);
    invariant(!accumulate, 'routing is the only reader of its logits');
    rec.launch({
      kernel: routeBackwardKernel,
      tensors: { ...gates, dw, table, routing: state, lengths, dh },
      params: { ...shape, ...place, width, start, balanced: rec.auxiliary ? 1 : 0 },
      threads,
    });
  });
  return gates;
}

/**
 * u_c = w_i factor_c h_c for the columns of each expert (method §1).
 * @param h (N, width), its first ΣR columns; their gradient is complete after this op's backward
 * @param factor (ΣR); where it requires a gradient, that is summed over tokens
 * @param gates null: every w_i is 1
 * @returns u (N, ΣR)
 */
export function mix(
  rec: Recorder,
  h: Tensor,
  experts: Experts,
  factor: Tensor,
  gates: Gates | null,
): Tensor {
  const { table, sites, experts: count, columns } = experts;
  const [tokens, width] = h.shape;
  invariant(sizeOf(factor) === columns && width >= columns, 'mix: columns do not match');
  const u = tensor(`mixed ${h.name}`, [tokens, columns], { requiresGrad: true });
  const w = gates?.w ?? factor; // bound, not read
  const params = {
    tokens,
    sites,
    experts: count,
    width,
    columns,
    gated: gates ? 1 : 0,
  };
  const threads = tokens * count;
  const flops = 2 * tokens * columns;
  rec.launch({
    kernel: mixKernel,
    tensors: { h, w, factor, table, u },
    params,
    threads,
    flops,
  });
  rec.onBackward(() => {
    const du = rec.gradOf(u);
    if (!du) return;
    const { grad: dh, accumulate } = rec.gradColumns(h, 0);
    invariant(!accumulate, 'mix is the only reader of its columns');
    const dw = gates ? rec.gradTarget(gates.w).grad : tensor('unused dw', [tokens, count]);
    rec.launch({
      kernel: mixBackwardKernel,
      tensors: { h, w, factor, table, du, dh, dw },
      params,
      threads,
      flops: 2 * flops,
    });
    if (!rec.wants(factor)) return;
    const { grad: d_factor, accumulate: add } = rec.gradTarget(factor);
    rec.launch({
      kernel: factorKernel,
      tensors: { h, w, table, du, d_factor },
      params: { ...params, accumulate: add },
      workgroups: Math.ceil(columns / 8),
      flops: 3 * tokens * columns,
    });
  });
  return u;
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
