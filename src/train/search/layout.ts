// What the search lays out beside an adapter: row scales at the lower level, GuidedSelection
// Vectors at the upper one, and their tensors.

import {
  type AdapterLayout,
  type AdapterSpec,
  countParameters,
  type Group,
  layoutAdapter,
} from '../../adapters/layout.ts';
import { sizeLimits } from '../../adapters/methods/methods.ts';
import { type SiteDims, uniformAllocation } from '../../allocation/allocation.ts';
import { ParamStore } from '../../graph/params.ts';
import type { Tensor } from '../../graph/tensor.ts';
import type { SearchGroup } from '../../ops/gsv.ts';

/** A group of sites with its banks of the search. */
export interface SearchBanks {
  group: SearchGroup;
  /** e (1, ΣER), at the lower level. */
  rowScale: Tensor;
  /** The GSVs (ops/gsv.ts), at the upper level. */
  experts: Tensor | null;
  ranks: Tensor;
}

/** The layout of a search: every site has `experts` experts of rank `spec.rank`, or one rank. */
export interface SearchLayout {
  adapter: AdapterLayout;
  upper: ParamStore;
  banks: ReadonlyMap<Group, SearchBanks>;
  experts: number;
  sites: number;
  closable: boolean;
  /** Whether the estimator is `survival`. */
  survival: boolean;
  /** params(E_max, R_max) of all sites. */
  most: number;
}

/** Lays out a search over all sites of the targets (method §2–3). */
export function layoutSearch(
  spec: Omit<AdapterSpec, 'allocation' | 'scale'>,
  options: { estimator: 'paper' | 'survival'; closable: boolean },
  layers: number,
  dims: SiteDims,
): SearchLayout {
  const { maxExperts: experts, maxRank: rank } = sizeLimits(spec);
  const allocation = uniformAllocation(layers, spec.targets, experts, rank);
  const adapter = layoutAdapter({ ...spec, scale: 'constant', allocation }, layers, dims, 'state');
  const upper = new ParamStore();
  const banks = new Map<Group, SearchBanks>();
  const counted = adapter.method.sizes === 'experts';
  const extra = options.closable ? 1 : 0;
  let sites = 0;
  for (const [key, g] of adapter.groups) {
    const count = g.sites.length;
    const all = count * experts;
    banks.set(g, {
      group: {
        sites: count,
        experts,
        rank,
        topK: spec.topK,
        scale: spec.alpha / rank,
        ...options,
        start: sites * (experts + 1),
      },
      rowScale: adapter.store.add(`${key} row scale`, [1, all * rank]),
      experts: counted ? upper.add(`${key} expert GSVs`, [count, experts + extra]) : null,
      ranks: upper.add(`${key} rank GSVs`, [all, rank + (counted ? 0 : extra)]),
    });
    sites += count;
  }
  const most = countParameters(adapter);
  return {
    adapter,
    upper,
    banks,
    experts,
    sites,
    closable: options.closable,
    survival: options.estimator === 'survival',
    most,
  };
}

/** A vector of a search file: `count` values from `first` of a bank. */
export interface NamedVector {
  name: string;
  bank: Tensor;
  first: number;
  count: number;
}

/** The row scales (`lower`) and the GSVs (`upper`) under their keys (method §5). */
export function namedVectors(layout: SearchLayout): { lower: NamedVector[]; upper: NamedVector[] } {
  const lower: NamedVector[] = [];
  const upper: NamedVector[] = [];
  const { experts } = layout;
  for (const [g, b] of layout.banks) {
    const vector = (name: string, bank: Tensor, at: number, count: number): NamedVector => ({
      name,
      bank,
      first: at * count,
      count,
    });
    g.sites.forEach((s, n) => {
      const prefix = `base_model.model.${s.path}`;
      if (b.experts) upper.push(vector(`${prefix}.gsv_expert`, b.experts, n, b.experts.shape[1]));
      for (let i = 0; i < experts; i++) {
        const of = b.experts ? `${prefix}.experts.${i}` : prefix;
        const at = n * experts + i;
        upper.push(vector(`${of}.gsv_rank`, b.ranks, at, b.ranks.shape[1]));
        lower.push(vector(`${of}.rank_scale`, b.rowScale, at, b.group.rank));
      }
    });
  }
  return { lower, upper };
}
