// Where an adapter's numbers lie: groups of sites that share an input, their banks in the parameter
// store, and the tensors that files name.
import {
  type Allocation,
  type SiteDims,
  sitePath,
  siteRanks,
  type Target,
} from '../allocation/allocation.ts';
import { ParamStore } from '../graph/params.ts';
import { type Tensor, tensor } from '../graph/tensor.ts';
import { type Experts, expertsOf } from '../ops/adapter.ts';
import { type Method, type MethodName, type MethodSettings, methodOf } from './methods/methods.ts';
import type { Extra, Rows, Stored } from './methods/shape.ts';

/** What an adapter is, apart from its numbers. */
export interface AdapterSpec extends MethodSettings {
  method: MethodName;
  targets: readonly Target[];
  /** r_max: the configured rank. */
  rank: number;
  alpha: number;
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
  /** The rank and the scale s_i of each expert. */
  ranks: readonly number[];
  scales: readonly number[];
  /** First of the site's columns in what `mix` gives, and how many; Bᵀ (columns, O). */
  column: number;
  columns: number;
  up: Tensor;
}

/** Sites that read the same input. */
export interface Group {
  key: string;
  /** Rows of all sites (·, C): `dropped` ones that see dropout(x), then those that see x. */
  down: Tensor;
  dropped: number;
  sites: readonly Site[];
  /** Matrices beside the banks, by their key in a file. */
  extra: ReadonlyMap<string, { bank: Tensor; start: Extra['start'] }>;
  /** The sites' experts, and s_i of each of their columns (ΣR). */
  experts: Experts;
  factor: Tensor;
  /** Number of the input: the dropout stream. */
  input: number;
  /** First expert in the routing statistics of the whole model. */
  firstExpert: number;
}

/** The linears of a layer by the input that they share. */
export const INPUT_GROUPS: readonly (readonly Target[])[] = [
  ['q_proj', 'k_proj', 'v_proj'],
  ['o_proj'],
  ['gate_proj', 'up_proj'],
  ['down_proj'],
];

/** A tensor of an adapter file and where its values lie: rows of a bank, or these transposed. */
export interface NamedTensor {
  name: string;
  /** As in the file: A (R, C), B (O, R), router (E, C). */
  shape: [number, number];
  bank: Tensor;
  row: number;
  rows: number;
  transposed: boolean;
}

/** An adapter's banks. */
export interface AdapterLayout {
  spec: AdapterSpec;
  method: Method;
  store: ParamStore;
  /** Key: layer and first target of an input group. */
  groups: ReadonlyMap<string, Group>;
  /** Every tensor under its key (method §5), in a fixed order. */
  tensors: readonly NamedTensor[];
  /** Experts with a router in all. */
  routedExperts: number;
}

/** The key of an input group. */
export const groupKey = (layer: number, firstTarget: Target): string => `${layer} ${firstTarget}`;

const rowsOf = (list: readonly Rows[]): number => list.reduce((sum, r) => sum + r.rows, 0);

/**
 * Lays out an adapter for a decoder of `layers` layers. Sites without experts stay plain linears.
 * @param kind whether the tables of experts are constants, or states that a search writes
 */
export function layoutAdapter(
  spec: AdapterSpec,
  layers: number,
  dims: SiteDims,
  kind: 'constant' | 'state' = 'constant',
): AdapterLayout {
  const method = methodOf(spec.method);
  const store = new ParamStore();
  const groups = new Map<string, Group>();
  const tensors: NamedTensor[] = [];
  let firstExpert = 0;
  for (let layer = 0; layer < layers; layer++) {
    INPUT_GROUPS.forEach((targets, number) => {
      const present = targets.filter(
        (t) => spec.targets.includes(t) && spec.allocation.experts[sitePath(layer, t)] > 0,
      );
      if (present.length === 0) return;
      const plans = present.map((t) => planSite(method, spec, sitePath(layer, t), t, dims));
      const key = groupKey(layer, targets[0]);
      const group = layoutGroup(store, key, plans, spec.topK, kind, tensors);
      groups.set(key, { ...group, input: layer * INPUT_GROUPS.length + number, firstExpert });
      if (method.routed) firstExpert += group.experts.experts;
    });
  }
  return { spec, method, store, groups, tensors, routedExperts: firstExpert };
}

type Plan = Omit<Site, 'column' | 'columns' | 'up'> & { stored: Stored };

function planSite(
  method: Method,
  spec: AdapterSpec,
  path: string,
  target: Target,
  dims: SiteDims,
): Plan {
  const ranks = siteRanks(spec.allocation, path);
  const stored = method.stored({ ...dims[target], ranks });
  const scales = ranks.map((rank) => method.scale(rank, spec));
  return { path, target, ...dims[target], ranks, scales, stored };
}

/** Adds the banks of a group to the store, and its tensors to the list. */
function layoutGroup(
  store: ParamStore,
  key: string,
  plans: readonly Plan[],
  topK: number,
  kind: 'constant' | 'state',
  tensors: NamedTensor[],
): Omit<Group, 'input' | 'firstExpert'> {
  const dropped = plans.reduce((sum, p) => sum + rowsOf(p.stored.dropped), 0);
  const plain = plans.reduce((sum, p) => sum + rowsOf(p.stored.plain), 0);
  const down = store.add(`${key} down`, [dropped + plain, plans[0].inputs]);
  const extra = new Map<string, { bank: Tensor; start: Extra['start'] }>();
  let [column, row, plainRow] = [0, 0, dropped];
  const sites = plans.map(({ stored, ...site }): Site => {
    const { path, inputs, outputs } = site;
    const columns = rowsOf(stored.up);
    const up = store.add(`${path} up`, [columns, outputs]);
    const named = (rows: readonly Rows[], bank: Tensor, first: number) => {
      let at = first;
      return rows.map(({ key, rows }): NamedTensor => {
        const shape: [number, number] = bank === up ? [outputs, rows] : [rows, inputs];
        at += rows;
        const name = `base_model.model.${path}.${key}`;
        return {
          name,
          shape,
          bank,
          row: at - rows,
          rows,
          transposed: bank === up,
        };
      });
    };
    const [downs, ups] = [named(stored.dropped, down, row), named(stored.up, up, 0)];
    const pairs = Math.max(downs.length, ups.length);
    for (let i = 0; i < pairs; i++) tensors.push(...[downs[i], ups[i]].filter(Boolean));
    tensors.push(...named(stored.plain, down, plainRow));
    for (const { key, shape, start } of stored.extra ?? []) {
      const name = `base_model.model.${path}.${key}`;
      const bank = store.add(name, shape);
      extra.set(name, { bank, start });
      tensors.push({
        name,
        shape: [...shape],
        bank,
        row: 0,
        rows: shape[0],
        transposed: false,
      });
    }
    column += columns;
    row += rowsOf(stored.dropped);
    plainRow += rowsOf(stored.plain);
    return { ...site, column: column - columns, columns, up };
  });
  const experts = expertsOf(
    sites.map(({ ranks }) => ({ ranks, topK })),
    kind,
  );
  const data = Float32Array.from(
    sites.flatMap((s) => s.ranks.flatMap((rank, i) => Array<number>(rank).fill(s.scales[i]))),
  );
  const factor = tensor('scales', [data.length], { kind: 'constant', data });
  return { key, down, dropped, sites, extra, experts, factor };
}

/** Trainable parameters, without padding. */
export const countParameters = ({ tensors }: AdapterLayout): number =>
  tensors.reduce((sum, t) => sum + t.shape[0] * t.shape[1], 0);
