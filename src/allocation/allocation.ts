// How many experts every adapted linear has, and of which ranks: maps keyed by module path, their
// files and their parameter count.
/** The linears that can be adapted, in the order of a layer. */
export const targetNames = [
  'q_proj',
  'k_proj',
  'v_proj',
  'o_proj',
  'gate_proj',
  'up_proj',
  'down_proj',
] as const;
export type Target = (typeof targetNames)[number];

/**
 * `experts`: module path → expert count (0: the linear is closed and stays plain); `ranks`: module
 * path + ".experts.{i}" → rank. A method with one rank a site has one expert there, or none.
 */
export interface Allocation {
  experts: Record<string, number>;
  ranks: Record<string, number>;
}

/** What an allocation chooses at a site: a count of experts and the rank of each, or one rank. */
export type Sizes = 'experts' | 'rank';

/** The module path of one linear, e.g. model.layers.0.self_attn.q_proj. */
export function sitePath(layer: number, target: Target): string {
  const block =
    target === 'gate_proj' || target === 'up_proj' || target === 'down_proj' ? 'mlp' : 'self_attn';
  return `model.layers.${layer}.${block}.${target}`;
}

/** The target that a module path ends with. */
export const targetOf = (path: string): Target => path.slice(path.lastIndexOf('.') + 1) as Target;

/** The module paths of all sites, layer by layer, targets in the order of a layer. */
export function sitePaths(layers: number, targets: readonly Target[]): string[] {
  const ordered = targetNames.filter((t) => targets.includes(t));
  return Array.from({ length: layers }, (_, layer) =>
    ordered.map((t) => sitePath(layer, t)),
  ).flat();
}

/** The key of one expert's rank. */
export const rankKey = (path: string, expert: number): string => `${path}.experts.${expert}`;

/** The ranks of one site's experts, in order. */
export const siteRanks = (allocation: Allocation, path: string): number[] =>
  Array.from({ length: allocation.experts[path] }, (_, i) => allocation.ranks[rankKey(path, i)]);

/** The rank of every site with one expert or none, by module path; 0: closed. */
export const rankBySite = (allocation: Allocation): Record<string, number> =>
  Object.fromEntries(
    Object.keys(allocation.experts).map((path) => [path, siteRanks(allocation, path)[0] ?? 0]),
  );

/** One expert of the rank given at each site, none where it is 0. */
export function allocationOfRanks(ranks: Readonly<Record<string, number>>): Allocation {
  const allocation: Allocation = { experts: {}, ranks: {} };
  for (const [path, rank] of Object.entries(ranks)) {
    allocation.experts[path] = rank > 0 ? 1 : 0;
    if (rank > 0) allocation.ranks[rankKey(path, 0)] = rank;
  }
  return allocation;
}

/** The same number of experts of the same rank at every site. */
export function uniformAllocation(
  layers: number,
  targets: readonly Target[],
  experts: number,
  rank: number,
): Allocation {
  const allocation: Allocation = { experts: {}, ranks: {} };
  for (const path of sitePaths(layers, targets)) {
    allocation.experts[path] = experts;
    for (let i = 0; i < experts; i++) allocation.ranks[rankKey(path, i)] = rank;
  }
  return allocation;
}

/** Input and output features (C, O) of every linear of a layer. */
export type SiteDims = Record<Target, { inputs: number; outputs: number }>;

/** The features of a decoder layer's linears, from its hyperparameters (a ModelConfig will do). */
export function siteDims(m: {
  hidden: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  feedForward: number;
}): SiteDims {
  const query = m.heads * m.headDim;
  const key = m.kvHeads * m.headDim;
  return {
    q_proj: { inputs: m.hidden, outputs: query },
    k_proj: { inputs: m.hidden, outputs: key },
    v_proj: { inputs: m.hidden, outputs: key },
    o_proj: { inputs: query, outputs: m.hidden },
    gate_proj: { inputs: m.hidden, outputs: m.feedForward },
    up_proj: { inputs: m.hidden, outputs: m.feedForward },
    down_proj: { inputs: m.feedForward, outputs: m.hidden },
  };
}

/** Trainable parameters of the site at a path whose experts have these ranks. */
export type SiteCost = (path: string, ranks: readonly number[]) => number;

/** Trainable parameters of an allocation: the sum over its sites with experts. */
export const parameterCount = (allocation: Allocation, cost: SiteCost): number =>
  Object.entries(allocation.experts).reduce(
    (sum, [path, count]) => sum + (count > 0 ? cost(path, siteRanks(allocation, path)) : 0),
    0,
  );
