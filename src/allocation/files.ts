// Allocations as JSON: expert.json and rank.json (method §5, §6), as they are read and written.
import { InputError } from '../util/error.ts';
import {
  type Allocation,
  allocationOfRanks,
  rankBySite,
  rankKey,
  type Sizes,
  sitePaths,
  type Target,
} from './allocation.ts';

/** The contents of expert.json and rank.json; a method with one rank a site has the latter alone. */
export interface AllocationJson {
  experts?: unknown;
  ranks: unknown;
}

export interface AllocationLimits {
  sizes: Sizes;
  layers: number;
  targets: readonly Target[];
  maxExperts: number;
  maxRank: number;
  /** What to call the two files in messages. */
  files?: { experts: string; ranks: string };
}

const names = { experts: 'expert.json', ranks: 'rank.json' };

const fail = (file: string, what: string) => new InputError('bad-adapter', `${file}: ${what}.`);

const unknownLinear = (key: string, { layers, targets }: AllocationLimits): string =>
  `"${key}" is not an adapted linear of this model (${layers} layers; ${targets.join(', ')})`;

/** The paper's own rank key, "{module path}.expertlora_E_vector_{i}", and ours. */
const rankPattern = /^(.+)\.(experts\.|expertlora_E_vector_)(0|[1-9]\d*)$/;

const isRecord = (v: unknown): v is Record<string, unknown> =>
  typeof v === 'object' && v !== null && !Array.isArray(v);

/**
 * Reads the contents of expert.json and rank.json. With experts (method §5) every linear must have
 * a count, every expert a rank; the paper's rank keys are accepted too, and theirs may name experts
 * beyond a linear's count, which are left out. With one rank a linear (method §6) rank.json holds
 * each under its module path, 0 where it is closed.
 * @throws InputError('bad-adapter') that names file, key and value
 */
export const parseAllocation = (
  { experts, ranks }: AllocationJson,
  limits: AllocationLimits,
): Allocation =>
  limits.sizes === 'experts' ? parseExperts(experts, ranks, limits) : parseRanks(ranks, limits);

function parseExperts(
  expertsJson: unknown,
  ranksJson: unknown,
  limits: AllocationLimits,
): Allocation {
  const files = limits.files ?? names;
  if (!isRecord(expertsJson))
    throw fail(files.experts, 'expected an object {module path: number of experts}');
  if (!isRecord(ranksJson))
    throw fail(files.ranks, 'expected an object {module path + ".experts.{i}": rank}');
  const paths = sitePaths(limits.layers, limits.targets);
  const known = new Set(paths);

  for (const key of Object.keys(expertsJson))
    if (!known.has(key)) throw fail(files.experts, unknownLinear(key, limits));
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
    if (!match || !known.has(match[1])) throw fail(files.ranks, unknownLinear(key, limits));
    const [, path, style, digits] = match;
    const expert = Number(digits);
    if (expert >= allocation.experts[path]) {
      if (style === 'expertlora_E_vector_') continue;
      throw fail(
        files.ranks,
        `"${key}" is the rank of an expert that does not exist: the linear has ${allocation.experts[path]}`,
      );
    }
    if (given.has(rankKey(path, expert)))
      throw fail(files.ranks, `the rank of expert ${expert} of "${path}" appears twice`);
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

function parseRanks(ranksJson: unknown, limits: AllocationLimits): Allocation {
  const { ranks: file } = limits.files ?? names;
  if (!isRecord(ranksJson)) throw fail(file, 'expected an object {module path: rank}');
  const paths = sitePaths(limits.layers, limits.targets);
  const stranger = Object.keys(ranksJson).find((key) => !paths.includes(key));
  if (stranger !== undefined) throw fail(file, unknownLinear(stranger, limits));
  const ranks: Record<string, number> = {};
  for (const path of paths) {
    if (!Object.hasOwn(ranksJson, path)) throw fail(file, `"${path}" is missing`);
    const rank = ranksJson[path];
    if (!inRange(rank, 0, limits.maxRank))
      throw fail(
        file,
        `"${path}" is ${JSON.stringify(rank)}, not a whole number from 0 (closed) to ${limits.maxRank} (adapter.rank)`,
      );
    ranks[path] = rank;
  }
  return allocationOfRanks(ranks);
}

/** What expert.json and rank.json hold of an allocation. */
export const allocationJson = (sizes: Sizes, allocation: Allocation): AllocationJson =>
  sizes === 'experts' ? { ...allocation } : { ranks: rankBySite(allocation) };
