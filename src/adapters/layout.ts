// Where every site's experts lie: groups of sites that share an input, their banks in the parameter
// store, and their named tensors.

import {
  type Allocation,
  type SiteDims,
  sitePath,
  siteRanks,
  type Target,
} from '../allocation/allocation.ts';
import { ParamStore } from '../graph/params.ts';
import type { Tensor } from '../graph/tensor.ts';
import { type GateLayout, gateLayout } from '../ops/adapter.ts';

/** What an adapter is, apart from its numbers. */
export interface AdapterSpec {
  method: 'lora-moe' | 'lora';
  targets: readonly Target[];
  /** r_max: the configured rank. */
  rank: number;
  topK: number;
  alpha: number;
  scale: 'constant' | 'per-expert';
  dropout: number;
  allocation: Allocation;
}

/** One adapted linear. */
export interface Site {
  path: string;
  target: Target;
  /** C and O. */
  inputs: number;
  outputs: number;
  /** First of the site's ΣR columns in its group, and how many. */
  column: number;
  columns: number;
  experts: readonly { rank: number; scale: number }[];
  /** First expert within the group. */
  firstExpert: number;
  /** Bᵀ (ΣR, O). */
  up: Tensor;
}

/** Sites that read the same input. */
export interface Group {
  /** A of all experts (ΣR, C), then the routers (ΣE, C); plain LoRA has no routers. */
  down: Tensor;
  sites: readonly Site[];
  layout: GateLayout;
  routed: boolean;
  /** Number of the input: the dropout stream. */
  input: number;
  /** First expert in the routing statistics of the whole model. */
  routingStart: number;
}

/** The linears of a layer by the input that they share. */
export const INPUT_GROUPS: readonly (readonly Target[])[] = [
  ['q_proj', 'k_proj', 'v_proj'],
  ['o_proj'],
  ['gate_proj', 'up_proj'],
  ['down_proj'],
];

/** An adapter's banks. */
export interface AdapterLayout {
  spec: AdapterSpec;
  store: ParamStore;
  /** Key: layer and first target of an input group. */
  groups: ReadonlyMap<string, Group>;
  /** Experts with a router in all. */
  routedExperts: number;
  /** Each routed expert's site's expert count: the factors of the balance loss. */
  balanceFactors: readonly number[];
}

/**
 * s_i of an expert: α / r_max (`constant`), α / R_i (`per-expert`), and α / R for plain LoRA
 * (method §1).
 */
const scaleOf = (spec: AdapterSpec, rank: number): number =>
  spec.alpha / (spec.method === 'lora' || spec.scale === 'per-expert' ? rank : spec.rank);

/**
 * Lays out an adapter for a decoder of `layers` layers. Sites without experts stay plain linears.
 */
export function layoutAdapter(spec: AdapterSpec, layers: number, dims: SiteDims): AdapterLayout {
  const store = new ParamStore();
  const groups = new Map<string, Group>();
  const balanceFactors: number[] = [];
  const routed = spec.method === 'lora-moe';
  for (let layer = 0; layer < layers; layer++) {
    INPUT_GROUPS.forEach((targets, number) => {
      const present = targets.filter(
        (t) => spec.targets.includes(t) && spec.allocation.experts[sitePath(layer, t)] > 0,
      );
      if (present.length === 0) return;
      const ranks = present.map((t) => siteRanks(spec.allocation, sitePath(layer, t)));
      const experts = ranks.map((r) => r.map((rank) => ({ rank, scale: scaleOf(spec, rank) })));
      const layout = gateLayout(
        experts.map((e) => ({ experts: e, kept: Math.min(spec.topK, e.length) })),
      );
      const key = groupKey(layer, targets[0]);
      const down = store.add(`${key} down`, [
        layout.columns + (routed ? layout.experts : 0),
        dims[present[0]].inputs,
      ]);
      let column = 0;
      let firstExpert = 0;
      const sites = present.map((target, i): Site => {
        const columns = ranks[i].reduce((a, r) => a + r, 0);
        const path = sitePath(layer, target);
        const up = store.add(`${path} up`, [columns, dims[target].outputs]);
        const site = {
          path,
          target,
          ...dims[target],
          column,
          columns,
          experts: experts[i],
          firstExpert,
          up,
        };
        column += columns;
        firstExpert += experts[i].length;
        return site;
      });
      groups.set(key, {
        down,
        sites,
        layout,
        routed,
        input: layer * INPUT_GROUPS.length + number,
        routingStart: balanceFactors.length,
      });
      if (routed)
        for (const e of experts) for (let i = 0; i < e.length; i++) balanceFactors.push(e.length);
    });
  }
  return { spec, store, groups, routedExperts: balanceFactors.length, balanceFactors };
}

/** The key of an input group. */
export const groupKey = (layer: number, firstTarget: Target): string => `${layer} ${firstTarget}`;

/**
 * A tensor of an adapter file and where its values lie: `rows` rows of a bank, as they are or
 * transposed.
 */
export interface NamedTensor {
  name: string;
  /** As in the file: A (R, C), B (O, R), router (E, C). */
  shape: [number, number];
  bank: Tensor;
  row: number;
  rows: number;
  transposed: boolean;
}

/** Every tensor of an adapter under its key (method §5), in a fixed order. */
export function namedTensors(layout: AdapterLayout): NamedTensor[] {
  const out: NamedTensor[] = [];
  for (const g of layout.groups.values()) {
    for (const s of g.sites) {
      const prefix = `base_model.model.${s.path}`;
      let row = 0;
      s.experts.forEach(({ rank }, i) => {
        const expert = g.routed ? `${prefix}.experts.${i}` : prefix;
        out.push({
          name: `${expert}.lora_A.weight`,
          shape: [rank, s.inputs],
          bank: g.down,
          row: s.column + row,
          rows: rank,
          transposed: false,
        });
        out.push({
          name: `${expert}.lora_B.weight`,
          shape: [s.outputs, rank],
          bank: s.up,
          row,
          rows: rank,
          transposed: true,
        });
        row += rank;
      });
      if (!g.routed) continue;
      const start = g.layout.columns + s.firstExpert;
      out.push({
        name: `${prefix}.router.weight`,
        shape: [s.experts.length, s.inputs],
        bank: g.down,
        row: start,
        rows: s.experts.length,
        transposed: false,
      });
    }
  }
  return out;
}

/** Trainable parameters, without padding. */
export const countParameters = (layout: AdapterLayout): number =>
  namedTensors(layout).reduce((a, t) => a + t.shape[0] * t.shape[1], 0);
