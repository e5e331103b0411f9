// Plain LoRA as Hugging Face PEFT has it in adapter_config.json: what is written, and what can be
// read.
import type { AdapterSpec } from '../adapters/layout.ts';
import {
  allocationOfRanks,
  rankBySite,
  sitePaths,
  targetNames,
  targetOf,
} from '../allocation/allocation.ts';
import { InputError } from '../util/error.ts';

type Json = Record<string, unknown>;

/**
 * PEFT's settings of an adapter. Where ranks differ or sites are closed, `target_modules` lists the
 * full paths of the open ones, and patterns give each its rank and α·r/R_max, so that s stays
 * α/R_max (method §6).
 */
export function peftSettings({ rank, alpha, targets, allocation }: AdapterSpec): Json {
  const sites = Object.entries(rankBySite(allocation));
  const isUniform = sites.every(([, r]) => r === rank);
  const open = isUniform ? [] : sites.filter(([, r]) => r > 0);
  return {
    inference_mode: true,
    r: rank,
    target_modules: isUniform ? [...targets].sort() : open.map(([path]) => path),
    bias: 'none',
    fan_in_fan_out: false,
    init_lora_weights: true,
    modules_to_save: null,
    layers_to_transform: null,
    layers_pattern: null,
    rank_pattern: Object.fromEntries(open),
    alpha_pattern: Object.fromEntries(open.map(([path, r]) => [path, (alpha * r) / rank])),
    use_rslora: false,
    use_dora: false,
  };
}

/** PEFT settings that would change the mathematics, and the values that leave it alone. */
const PEFT_PLAIN: Record<string, readonly unknown[]> = {
  bias: ['none'],
  fan_in_fan_out: [false],
  modules_to_save: [null],
  layers_to_transform: [null],
  layer_replication: [null],
  use_rslora: [false],
  use_dora: [false],
  use_qalora: [false],
  use_bdlora: [null, false],
  lora_bias: [false],
  target_parameters: [null],
  exclude_modules: [null],
  trainable_token_indices: [null],
};

/** A number of a file. @throws InputError naming file, key and value */
export function numberIn(
  json: Json,
  key: string,
  where: string,
  whole: boolean,
  low: number,
): number {
  const v = json[key];
  if (typeof v === 'number' && v >= low && Number.isFinite(v) && (!whole || Number.isInteger(v)))
    return v;
  throw new InputError(
    'bad-adapter',
    `${where}: "${key}" is ${JSON.stringify(v)}, not a ${whole ? 'whole ' : ''}number of at least ${low}.`,
  );
}

/** Refuses what PEFT can do and this program cannot. */
function checkPeft(json: Json, where: string): void {
  for (const [key, plain] of Object.entries(PEFT_PLAIN))
    if (json[key] !== undefined && !plain.includes(json[key]))
      throw new InputError(
        'bad-adapter',
        `${where}: "${key}" is ${JSON.stringify(json[key])}, which is not supported.`,
      );
}

/** PEFT's way to name modules: by their path, or by how it ends. */
const isNamed = (path: string, name: string): boolean => path === name || path.endsWith(`.${name}`);

/** The value of a pattern for a site: that of the first key that names it. */
function patternIn(json: Json, key: string, where: string, whole: boolean, low: number) {
  const pattern = (json[key] ?? {}) as Json;
  const odd = Object.keys(pattern).find((name) => !/^[\w.]+$/.test(name));
  if (odd !== undefined)
    throw new InputError(
      'bad-adapter',
      `${where}: "${key}" has the regular expression ${JSON.stringify(odd)}, which is not supported; give module paths.`,
    );
  return (path: string): number | undefined => {
    const name = Object.keys(pattern).find((name) => isNamed(path, name));
    return name === undefined
      ? undefined
      : numberIn(pattern, name, `${where} "${key}"`, whole, low);
  };
}

/** The linears that "target_modules" names. */
function openSites(json: Json, layers: number, where: string): string[] {
  const named = json.target_modules;
  if (!Array.isArray(named) || named.length === 0)
    throw new InputError('bad-adapter', `${where}: "target_modules" must be a list of linears.`);
  const paths = sitePaths(layers, targetNames);
  const stranger = named.find((name) => !paths.some((path) => isNamed(path, String(name))));
  if (stranger !== undefined)
    throw new InputError(
      'bad-adapter',
      `${where}: "target_modules" has ${JSON.stringify(stranger)}; supported are ${targetNames.join(', ')}, or their paths in a model of ${layers} layers.`,
    );
  return paths.filter((path) => named.some((name) => isNamed(path, String(name))));
}

/**
 * The sites of a PEFT adapter with their ranks. All must have the same α / rank, which is what this
 * program's plain LoRA has.
 * @throws InputError naming file, key and value
 */
export function readPeft(
  json: Json,
  layers: number,
  where: string,
): Pick<AdapterSpec, 'targets' | 'rank' | 'alpha' | 'allocation'> {
  checkPeft(json, where);
  const open = openSites(json, layers, where);
  const r = numberIn(json, 'r', where, true, 1);
  const lora_alpha = numberIn(json, 'lora_alpha', where, false, 0);
  const [rankOf, alphaOf] = [
    patternIn(json, 'rank_pattern', where, true, 1),
    patternIn(json, 'alpha_pattern', where, false, 0),
  ];
  const ranks = Object.fromEntries(open.map((path) => [path, rankOf(path) ?? r]));
  const scales = open.map((path) => (alphaOf(path) ?? lora_alpha) / ranks[path]);
  const near = (scale: number) => Math.abs(scale - scales[0]) <= 1e-6 * Math.abs(scales[0]);
  if (!scales.every(near))
    throw new InputError(
      'bad-adapter',
      `${where}: "rank_pattern" and "alpha_pattern" give linears different alpha / rank (${Math.min(...scales)} to ${Math.max(...scales)}), which is not supported.`,
    );
  const rank = Math.max(r, ...Object.values(ranks));
  const alpha = near(lora_alpha / rank) ? lora_alpha : scales[0] * rank;
  const targets = targetNames.filter((target) => open.some((path) => targetOf(path) === target));
  const closed = Object.fromEntries(sitePaths(layers, targets).map((path) => [path, 0]));
  return { targets, rank, alpha, allocation: allocationOfRanks({ ...closed, ...ranks }) };
}
