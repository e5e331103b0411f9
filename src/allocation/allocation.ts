// How many experts every adapted linear has, and of which ranks: maps keyed by module path, their
// files and their parameter count.
import { InputError } from '../util/error.ts';

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
 * `experts`: module path → expert count (0: the plain linear); `ranks`: module path +
 * ".experts.{i}" → rank.
 */
export interface Allocation {
  experts: Record<string, number>;
  ranks: Record<string, number>;
}

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

export interface AllocationLimits {
  layers: number;
  targets: readonly Target[];
  maxExperts: number;
  maxRank: number;
  /** What to call the two files in messages. */
  files?: { experts: string; ranks: string };
}

/** The paper's own rank key, "{module path}.expertlora_E_vector_{i}", and ours. */
const rankPattern = /^(.+)\.(experts\.|expertlora_E_vector_)(0|[1-9]\d*)$/;

const isRecord = (v: unknown): v is Record<string, unknown> =>
  typeof v === 'object' && v !== null && !Array.isArray(v);

/**
 * Reads the parsed contents of expert.json and rank.json (method, section 5). Every site of the
 * model must have a count, every expert a rank. The paper's rank keys are accepted too; theirs may
 * name experts beyond a site's count, which are left out. Throws InputError('bad-adapter') that
 * names file, key and value.
 */
export function parseAllocation(
  expertsJson: unknown,
  ranksJson: unknown,
  limits: AllocationLimits,
): Allocation {
  const files = limits.files ?? { experts: 'expert.json', ranks: 'rank.json' };
  const fail = (file: string, what: string) => new InputError('bad-adapter', `${file}: ${what}.`);
  if (!isRecord(expertsJson))
    throw fail(files.experts, 'expected an object {module path: number of experts}');
  if (!isRecord(ranksJson))
    throw fail(files.ranks, 'expected an object {module path + ".experts.{i}": rank}');
  const paths = sitePaths(limits.layers, limits.targets);
  const known = new Set(paths);
  const unknown = (key: string) =>
    `"${key}" is no adapted linear of this model (${limits.layers} layers; ${limits.targets.join(', ')})`;

  for (const key of Object.keys(expertsJson))
    if (!known.has(key)) throw fail(files.experts, unknown(key));
  const allocation: Allocation = { experts: {}, ranks: {} };
  for (const path of paths) {
    if (!Object.hasOwn(expertsJson, path)) throw fail(files.experts, `"${path}" is missing`);
    const count = expertsJson[path];
    if (!inRange(count, 0, limits.maxExperts)) {
      throw fail(
        files.experts,
        `"${path}" is ${JSON.stringify(count)}, not a whole number from 0 to ${limits.maxExperts} (adapter.experts)`,
      );
    }
    allocation.experts[path] = count;
  }

  const given = new Map<string, unknown>();
  for (const [key, value] of Object.entries(ranksJson)) {
    const match = rankPattern.exec(key);
    if (!match || !known.has(match[1])) throw fail(files.ranks, unknown(key));
    const [, path, style, digits] = match;
    const expert = Number(digits);
    if (expert >= allocation.experts[path]) {
      if (style === 'expertlora_E_vector_') continue;
      throw fail(
        files.ranks,
        `"${key}" is the rank of an expert that is not there: the linear has ${allocation.experts[path]}`,
      );
    }
    if (given.has(rankKey(path, expert)))
      throw fail(files.ranks, `the rank of expert ${expert} of "${path}" is there twice`);
    given.set(rankKey(path, expert), value);
  }
  for (const path of paths) {
    for (let i = 0; i < allocation.experts[path]; i++) {
      const key = rankKey(path, i);
      if (!given.has(key)) throw fail(files.ranks, `"${key}" is missing`);
      const rank = given.get(key);
      if (!inRange(rank, 1, limits.maxRank)) {
        throw fail(
          files.ranks,
          `"${key}" is ${JSON.stringify(rank)}, not a whole number from 1 to ${limits.maxRank} (adapter.rank)`,
        );
      }
      allocation.ranks[key] = rank;
    }
  }
  return allocation;
}

const inRange = (v: unknown, low: number, high: number): v is number =>
  Number.isInteger(v) && (v as number) >= low && (v as number) <= high;

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
