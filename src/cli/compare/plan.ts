// The plan of a comparison: which methods, seeds and learning rates, and the settings of every run
// that follow from it.

import { z } from 'zod';
import { methodNames, methods } from '../../adapters/methods/methods.ts';
import type { Sizes } from '../../allocation/allocation.ts';
import { type PresetName, presetNames } from '../../allocation/presets.ts';
import { applicable } from '../../settings/adapter.ts';
import { hasOneRank, type ModelShape, nearestRank } from '../../settings/resolve-allocation.ts';
import { parseTrainingConfig, searches, type TrainingConfig } from '../../settings/run-config.ts';
import { InputError } from '../../util/error.ts';

type Json = Record<string, unknown>;

const json = z.record(z.string(), z.unknown());
const distinct = (what: string) => (values: readonly number[], ctx: z.RefinementCtx) => {
  if (new Set(values).size < values.length)
    ctx.addIssue({ code: 'custom', message: `names a ${what} twice` });
};
const seed = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

const schema = z.strictObject({
  run: json.default({}).describe('run.json of all methods'),
  methods: z
    .record(z.string().min(1), json)
    .describe(
      'Name → its changes to run.json, or {"shuffled": NAME}: another method with its layers permuted',
    ),
  seeds: z.array(seed).min(1).superRefine(distinct('seed')),
  learningRates: z
    .array(z.number().positive())
    .min(1)
    .superRefine(distinct('rate'))
    .describe('Tried by every method as train.learningRate'),
  tuneSeeds: z
    .array(seed)
    .min(1)
    .superRefine(distinct('seed'))
    .default([101, 102])
    .describe(
      'For the runs that choose the learning rate, by validation rows; may overlap with seeds',
    ),
  baseline: z.string().describe('The method that the others are compared with'),
});

/** One method of a plan. */
export interface Method {
  name: string;
  /** The name as part of a file name. */
  slug: string;
  /**
   * The method whose search it uses: its own name, or that of the method whose layers it permutes.
   */
  origin: string;
  /** Its layers are permuted by the seed. */
  shuffled: boolean;
  /** The search comes first (its own, or that of `origin`). */
  searches: boolean;
  /** The settings of a run. */
  config(seed: number, learningRate: number): TrainingConfig;
}

/** A plan, checked. */
export interface Plan {
  methods: Method[];
  seeds: number[];
  tuneSeeds: number[];
  /** Ascending. */
  learningRates: number[];
  baseline: string;
}

const isRecord = (v: unknown): v is Json =>
  typeof v === 'object' && v !== null && !Array.isArray(v);

/** `base` with the values of `over`, objects merged key by key, anything else replaced. */
export function deepMerge(base: Json, over: Json): Json {
  const out: Json = { ...base };
  for (const [key, v] of Object.entries(over)) {
    const old = Object.hasOwn(out, key) ? out[key] : undefined;
    out[key] = isRecord(v) && isRecord(old) ? deepMerge(old, v) : v;
  }
  return out;
}

/** A name in lower case with hyphens. */
const slugOf = (name: string): string =>
  name
    .toLowerCase()
    .replace(/[^a-z0-9.]+/g, '-')
    .replace(/^-|-$/g, '');

/** Whether an `allocation` of run.json chooses such sizes. */
const allocatesTo = (allocation: unknown, sizes: Sizes): boolean =>
  isRecord(allocation)
    ? Object.hasOwn(allocation, 'experts') === (sizes === 'experts')
    : sizes === 'experts' || !presetNames.includes(allocation as PresetName);

/** What of `run` a method that changes `own` has a use for; the rest is dropped. */
function shared(run: Json, own: Json): Json {
  const adapter = isRecord(run.adapter) ? run.adapter : {};
  const given = { ...adapter, ...(isRecord(own.adapter) ? own.adapter : {}) }.method;
  const found = methods.find(({ name }) => name === (given ?? methodNames[0]));
  if (!found) return run;
  const { allocation, ...rest } = run;
  return {
    ...rest,
    ...(allocatesTo(allocation, found.sizes) && { allocation }),
    ...(isRecord(run.adapter) && { adapter: applicable(run.adapter, found.name) }),
  };
}

/** Settings that the plan has a place of its own for. */
function checkOwn(part: Json, where: string): void {
  const train = isRecord(part.train) ? part.train : {};
  if (part.seed !== undefined)
    throw new InputError('bad-config', `${where}: "seed" is set by the plan's seeds.`);
  if (train.learningRate !== undefined)
    throw new InputError(
      'bad-config',
      `${where}: "train.learningRate" is set by the plan's learningRates.`,
    );
}

/**
 * Checks the parsed contents of a plan for a model. Every method's settings are those of `run` that
 * it has a use for, with its own merged in. Where they have adapter.parameters, a method without an
 * allocation gets the rank that comes nearest to it, unless it gives adapter.rank itself.
 * @throws InputError('bad-config') naming the plan's key, or the method and the key of its run.json
 */
export function parsePlan(contents: unknown, where: string, model: ModelShape): Plan {
  const result = schema.safeParse(contents);
  if (!result.success) {
    const lines = result.error.issues.map((i) =>
      i.code === 'unrecognized_keys'
        ? `unknown key "${[...i.path, ...i.keys].join('.')}"`
        : `${i.path.join('.') || 'the contents'}: ${i.message}`,
    );
    throw new InputError('bad-config', `${where}: ${lines.join('; ')}.`);
  }
  const plan = result.data;
  const fail = (message: string) => new InputError('bad-config', `${where}: ${message}.`);
  if (!Object.hasOwn(plan.methods, plan.baseline))
    throw fail(`baseline is "${plan.baseline}", which is not a method`);
  checkOwn(plan.run, `${where} run`);
  const tunes = plan.learningRates.length > 1;

  const method = (name: string): Method => {
    const own = plan.methods[name];
    const at = `${where} method "${name}"`;
    if (own.shuffled !== undefined) return shuffledTwin(name, own, at);
    checkOwn(own, at);
    if (own.data !== undefined)
      throw new InputError(
        'bad-config',
        `${at}: "data" belongs to run: it is the same for all methods.`,
      );
    const merged = deepMerge(shared(plan.run, own), own);
    const config = (s: number, learningRate: number) => {
      const settings = deepMerge(merged, { seed: s, train: { learningRate } });
      const parsed = parseTrainingConfig(merged.train === false ? merged : settings, at);
      const { adapter } = parsed;
      if (hasOneRank(parsed) && adapter.parameters !== null) {
        const { method, parameters, targets } = adapter;
        if (!isRecord(own.adapter) || own.adapter.rank === undefined)
          adapter.rank = nearestRank(method, parameters, targets, model);
        adapter.parameters = null;
      }
      return parsed;
    };
    const first = config(plan.seeds[0], plan.learningRates[0]);
    if (tunes && first.data.validation === 0)
      throw new InputError(
        'bad-config',
        `${at}: "data.validation" is 0: learning rates are chosen by the loss on validation rows.`,
      );
    return {
      name,
      slug: slugOf(name),
      origin: name,
      shuffled: false,
      searches: searches(first),
      config,
    };
  };
  const shuffledTwin = (name: string, own: Json, at: string): Method => {
    const stranger = Object.keys(own).find((key) => key !== 'shuffled');
    if (stranger !== undefined)
      throw new InputError(
        'bad-config',
        `${at}: "${stranger}" cannot be combined with "shuffled".`,
      );
    const origin =
      typeof own.shuffled === 'string' && Object.hasOwn(plan.methods, own.shuffled)
        ? own.shuffled
        : null;
    if (origin === null || plan.methods[origin].shuffled !== undefined)
      throw new InputError(
        'bad-config',
        `${at}: shuffled is ${JSON.stringify(own.shuffled)}, which is not a method with layers of its own.`,
      );
    const of = method(origin);
    const { allocation } = of.config(plan.seeds[0], plan.learningRates[0]);
    if (allocation === 'uniform' || model.layers < 2)
      throw new InputError('bad-config', `${at}: the layers of "${origin}" are all alike.`);
    return { ...of, name, slug: slugOf(name), shuffled: true };
  };

  const methods = Object.keys(plan.methods).map(method);
  const twice = methods.find(
    (m, i) => m.slug === '' || methods.findIndex((o) => o.slug === m.slug) < i,
  );
  if (twice)
    throw fail(
      `the name of method "${twice.name}" has no letter, or differs from another's only in punctuation`,
    );
  return { ...plan, methods, learningRates: [...plan.learningRates].sort((a, b) => a - b) };
}
