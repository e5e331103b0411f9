// The gate of a group of adapted linears that share an input, its routing statistics and its
// balance loss.
import balanceCode from '../../shaders/adapter/balance.wgsl?raw';
import gateCode from '../../shaders/adapter/gate.wgsl?raw';
import backwardCode from '../../shaders/adapter/gate_backward.wgsl?raw';
import routingCode from '../../shaders/adapter/routing.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import type { Recorder } from '../graph/recorder.ts';
import { type Tensor, tensor } from '../graph/tensor.ts';
import { invariant } from '../util/error.ts';

const gateKernel = defineKernel('gate', gateCode);
const backwardKernel = defineKernel('gate_backward', backwardCode);
const routingKernel = defineKernel('routing', routingCode);
const balanceKernel = defineKernel('balance', balanceCode);

/** One site of a group, as the gate sees it. */
export interface GateSite {
  /** Rank and scale s_i of each expert. */
  experts: readonly { rank: number; scale: number }[];
  /** Experts kept: min(K, number of experts). */
  kept: number;
}

/** The columns of a group: ΣR down-projections, then ΣE router logits. */
export interface GateLayout {
  sites: readonly GateSite[];
  columns: number;
  experts: number;
}

/** Sums up a group's columns. */
export function gateLayout(sites: readonly GateSite[]): GateLayout {
  const experts = sites.flatMap((s) => s.experts);
  return { sites, columns: experts.reduce((n, e) => n + e.rank, 0), experts: experts.length };
}

/**
 * The gate's table: per site first expert, experts, kept; per expert first column, end column and
 * scale bits.
 */
export function gateTable(layout: GateLayout): Uint32Array<ArrayBuffer> {
  const table: number[] = [];
  let expert = 0;
  for (const s of layout.sites) {
    table.push(expert, s.experts.length, s.kept);
    expert += s.experts.length;
  }
  let column = 0;
  for (const e of layout.sites.flatMap((s) => s.experts)) {
    table.push(column, column + e.rank, new Uint32Array(new Float32Array([e.scale]).buffer)[0]);
    column += e.rank;
  }
  return Uint32Array.from(table);
}

/** Where a run keeps f and P of all experts: state of 2·total + 1 floats. */
export interface Routing {
  state: Tensor;
  total: number;
  /** First expert of this group. */
  start: number;
  /** Real tokens of each row (rows), u32. */
  lengths: Tensor;
  time: number;
}

/**
 * p, w and u of a group of sites (method §1): softmax, top-k, renormalise, and scale each expert's
 * columns.
 * @param h (N, ΣR + ΣE) down-projections and router logits; its gradient is complete after this
 *   op's backward
 * @returns u (N, ΣR)
 */
export function gate(rec: Recorder, h: Tensor, layout: GateLayout, routing: Routing): Tensor {
  const tokens = h.shape[0];
  const { columns, experts } = layout;
  const sites = layout.sites.length;
  invariant(h.shape[1] === columns + experts, 'gate: columns do not match the layout');
  const data = gateTable(layout);
  const table = tensor('gate table', [data.length], { kind: 'constant', dtype: 'u32', data });
  const p = tensor('gate p', [tokens, experts]);
  const w = tensor('gate w', [tokens, experts]);
  const u = tensor(`gated ${h.name}`, [tokens, columns], { requiresGrad: true });
  const shape = { tokens, sites, width: columns + experts, router_start: columns, experts };
  const workgroups = Math.ceil((tokens * sites) / 64);
  rec.launch({
    kernel: gateKernel,
    tensors: { h, table, p, w, u },
    params: shape,
    workgroups,
    flops: 2 * tokens * columns,
  });
  if (!rec.recomputing) {
    rec.launch({
      kernel: routingKernel,
      tensors: { p, w, table, lengths: routing.lengths, routing: routing.state },
      params: {
        tokens,
        time: routing.time,
        sites,
        experts,
        start: routing.start,
        total: routing.total,
      },
      workgroups: [Math.ceil(experts / 8), 1, 1],
    });
  }
  rec.onBackward(() => {
    const du = rec.gradOf(u);
    if (!du) return;
    const { grad: dh, accumulate } = rec.gradTarget(h);
    invariant(!accumulate, 'the gate is the only reader of its columns');
    rec.launch({
      kernel: backwardKernel,
      tensors: { h, table, p, w, du, routing: routing.state, lengths: routing.lengths, dh },
      params: {
        ...shape,
        time: routing.time,
        routing_start: routing.start,
        routing_tokens: 2 * routing.total,
      },
      workgroups,
      flops: 4 * tokens * columns,
    });
  });
  return u;
}

/** Adds Σ over sites of L_bal to the statistics. `factors`: each expert's site's expert count. */
export function balance(
  rec: Recorder,
  routing: Tensor,
  factors: readonly number[],
  statistics: Tensor,
): void {
  const data = Float32Array.from(factors);
  const table = tensor('balance factors', [data.length], { kind: 'constant', data });
  rec.launch({
    kernel: balanceKernel,
    tensors: { routing, factors: table, statistics },
    params: { total: data.length },
    workgroups: 1,
  });
}
