// What the search lays out beside an adapter: row scales at the lower level, GuidedSelection
// Vectors at the upper one, and their tensors.

import {
  type AdapterLayout,
  type AdapterSpec,
  countParameters,
  type Group,
  layoutAdapter,
} from '../../adapters/layout.ts';
import { type SiteDims, uniformAllocation } from '../../allocation/allocation.ts';
import { ParamStore } from '../../graph/params.ts';
import type { Tensor } from '../../graph/tensor.ts';
import type { SearchGroup } from '../../ops/gsv.ts';

/** A group of sites with its banks of the search. */
export interface SearchBanks {
  group: SearchGroup;
  /** e (1, ΣER), at the lower level. */
  rowScale: Tensor;
  /**
   * g_E (sites, E_max, or one more where sites can close) and g_R (sites·E_max, R_max), at the
   * upper level.
   */
  experts: Tensor;
  ranks: Tensor;
}

/** The layout of a search: every site has `experts` experts of rank `spec.rank`. */
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
  const { experts } = spec;
  const allocation = uniformAllocation(layers, spec.targets, experts, spec.rank);
  const adapter = layoutAdapter({ ...spec, scale: 'constant', allocation }, layers, dims, 'state');
  const upper = new ParamStore();
  const banks = new Map<Group, SearchBanks>();
  let sites = 0;
  for (const [key, g] of adapter.groups) {
    const count = g.sites.length;
    const all = count * experts;
    banks.set(g, {
      group: {
        sites: count,
        experts,
        rank: spec.rank,
        topK: spec.topK,
        scale: spec.alpha / spec.rank,
        ...options,
        start: sites * (experts + 1),
      },
      rowScale: adapter.store.add(`${key} row scale`, [1, all * spec.rank]),
      experts: upper.add(`${key} expert GSVs`, [count, experts + (options.closable ? 1 : 0)]),
      ranks: upper.add(`${key} rank GSVs`, [all, spec.rank]),
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
  const rank = layout.adapter.spec.rank;
  const length = layout.experts + (layout.closable ? 1 : 0);
  for (const [g, b] of layout.banks) {
    g.sites.forEach((s, n) => {
      const prefix = `base_model.model.${s.path}`;
      upper.push({
        name: `${prefix}.gsv_expert`,
        bank: b.experts,
        first: n * length,
        count: length,
      });
      for (let i = 0; i < layout.experts; i++) {
        const first = (n * layout.experts + i) * rank;
        upper.push({
          name: `${prefix}.experts.${i}.gsv_rank`,
          bank: b.ranks,
          first,
          count: rank,
        });
        lower.push({
          name: `${prefix}.experts.${i}.rank_scale`,
          bank: b.rowScale,
          first,
          count: rank,
        });
      }
    });
  }
  return { lower, upper };
}
