// run.json: every setting of a run with its default, checked; unknown keys are errors.
import { z } from 'zod';
import {
  type Method,
  type MethodName,
  methodNames,
  methodOf,
  methods,
  ownersOf,
} from '../adapters/methods/methods.ts';
import { targetNames } from '../allocation/allocation.ts';
import { presetNames, presetNeeds } from '../allocation/presets.ts';
import { InputError } from '../util/error.ts';
import { count, noteOf, setting } from '../util/setting.ts';
import { type AdapterSettings, adapter, applicable } from './adapter.ts';
import { data } from './data.ts';
import { search, train } from './stages.ts';

// zod's probe of `new Function` breaks a strict content security policy
z.config({ jitless: true });

const allocationNames = ['uniform', 'search', ...presetNames] as const;

const allocation = z.union(
  [
    z.enum(allocationNames),
    z.strictObject({ experts: z.string().min(1).optional(), ranks: z.string().min(1) }),
  ],
  `expected ${allocationNames.map((name) => `"${name}"`).join(', ')}, {"experts": FILE, "ranks": FILE}, or with one rank per linear {"ranks": FILE}`,
);

type Fail = (path: string[], message: string) => void;

/** The methods of which something holds, for a message. */
const methodsWith = (holds: (method: Method) => boolean): string =>
  methods
    .filter(holds)
    .map(({ name }) => name)
    .join(', ');

/** What a search cannot be combined with. */
function checkSearch(
  s: z.output<typeof search>,
  method: MethodName,
  given: z.output<typeof allocation> | undefined,
  fail: Fail,
): void {
  const { estimators } = methodOf(method);
  if (!estimators.includes(s.estimator))
    fail(
      estimators.length === 0 ? ['search'] : ['search', 'estimator'],
      `does not apply to method "${method}" (it belongs to ${methodsWith((m) => m.estimators.includes(s.estimator))})`,
    );
  if (given !== undefined && given !== 'search')
    fail(['allocation'], 'the search finds the allocation: leave it out, or set search to false');
  if (s.budget !== null && s.cost > 0)
    fail(['search', 'cost'], 'cannot be combined with a budget: leave one of the two out');
  for (const [key, schema] of Object.entries(search.shape) as [keyof typeof s, z.ZodType][]) {
    const [other, value] = noteOf(schema)?.needs ?? [];
    if (
      other !== undefined &&
      s[other as keyof typeof s] !== value &&
      s[key] !== schema.parse(undefined)
    )
      fail(['search', key], `needs ${other} "${value}"`);
  }
}

/** What an allocation cannot be combined with. */
function checkAllocation(
  given: z.output<typeof allocation>,
  adapter: AdapterSettings,
  fail: Fail,
): void {
  const { name, sizes } = methodOf(adapter.method);
  const foreign = () =>
    fail(
      ['allocation'],
      `does not apply to method "${name}" (it belongs to ${methodsWith((m) => m.sizes !== sizes)})`,
    );
  if (typeof given === 'object') {
    if (sizes === 'rank' && given.experts !== undefined) foreign();
    if (sizes === 'experts' && given.experts === undefined)
      fail(['allocation'], 'needs a file of experts: {"experts": FILE, "ranks": FILE}');
  } else if (given !== 'uniform' && given !== 'search') {
    const needs = presetNeeds(given);
    if (sizes === 'rank') foreign();
    for (const key of sizes === 'rank' ? [] : (['experts', 'rank'] as const))
      if (needs[key] > adapter[key])
        fail(['allocation'], `needs adapter.${key} ${needs[key]} or more, not ${adapter[key]}`);
  }
}

/** The schema of run.json. */
export const runConfig = z
  .strictObject({
    $schema: z.string().optional(),
    seed: setting(z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(1), {
      label: 'Seed',
      help: 'The same seed gives the same run',
    }),
    data: data.prefault({}),
    adapter: adapter.prefault({}),
    allocation: setting(allocation.optional(), {
      help: 'Experts and ranks of every linear: all alike (the default without a search), what the search finds (the default with one), a built-in pattern over the layers, random by the seed, or from two files; for plain LoRA all alike, what the search finds, or from a file of ranks',
    }),
    memory: setting(count(Number.MAX_SAFE_INTEGER).nullable().default(null), {
      label: 'Memory budget',
      help: 'Memory that search and training may each use, model included; to fit, both recompute, and training uses smaller micro-batches',
      none: 'no limit',
      unit: { shown: 'MiB', size: 2 ** 20, stored: 'bytes' },
    }),
    precision: setting(z.enum(['exact', 'fast']).default('exact'), {
      label: 'Precision',
      help: 'Exact computes in f32; fast keeps what large products multiply in half precision, and needs a GPU with shader-f16. Results then differ a little',
      choices: { exact: 'Exact', fast: 'Fast' },
    }),
    search: setting(
      z.union([z.literal(false), search], 'expected false or search settings').default(false),
      {
        label: 'Search first',
        help: 'Learns how many experts each linear gets and their ranks, or for plain LoRA its rank, and shows the result for review before training',
      },
    ),
    train: setting(
      z.union([z.literal(false), train], 'expected false or training settings').prefault({}),
      {
        label: 'Train after the search',
        help: 'If off, the run ends with the allocation that the search found',
      },
    ),
  })
  .superRefine((c, ctx) => {
    const fail: Fail = (path, message) => ctx.addIssue({ code: 'custom', path, message });
    for (const key of ['train', 'search'] as const) {
      const level = c[key];
      if (level && level.batch % level.microBatch !== 0)
        fail([key, 'batch'], `must be a multiple of ${key}.microBatch (${level.microBatch})`);
    }
    if (c.search) checkSearch(c.search, c.adapter.method, c.allocation, fail);
    else if (c.allocation === 'search') fail(['allocation'], 'needs search settings');
    if (!c.train && !c.search)
      fail(['train'], 'there is nothing to do without a search and without training');
    const method = methodOf(c.adapter.method);
    for (const [key, message] of Object.entries(method.check?.(c.adapter) ?? {}))
      fail(['adapter', key], message);
    const held = Array.isArray(c.data.validation) ? c.data.validation : [];
    for (const name of held.filter((name) => Object.hasOwn(c.data.weights, name)))
      fail(['data', 'weights', name], 'names a validation file, which is not trained on');
    if (new Set(c.adapter.targets).size !== c.adapter.targets.length)
      fail(['adapter', 'targets'], 'names a linear twice');
    if (c.allocation !== undefined && !c.search) checkAllocation(c.allocation, c.adapter, fail);
  });

/** Every setting of a run, resolved. */
export type RunConfig = Omit<z.output<typeof runConfig>, '$schema' | 'allocation'> & {
  allocation: z.output<typeof allocation>;
};
export type TrainSettings = z.output<typeof train>;
export type SearchSettings = z.output<typeof search>;
/** Settings of a run that trains, and of one that searches. */
export type TrainingConfig = RunConfig & { train: TrainSettings };
export type SearchConfig = RunConfig & { search: SearchSettings };
/** What run.json may hold: every key is optional. */
export type RunConfigInput = z.input<typeof runConfig>;

/**
 * Checks the parsed contents of run.json and fills in the defaults. Throws InputError('bad-config')
 * that lists every mistake by path and value.
 */
export function parseRunConfig(json: unknown, where: string): RunConfig {
  const result = runConfig.safeParse(json);
  if (!result.success) {
    const lines = result.error.issues
      .flatMap((issue) => within(issue, json))
      .flatMap((issue) => describe(issue, json));
    throw new InputError('bad-config', `${where}: ${lines.join('; ')}.`);
  }
  const { $schema: _, allocation: given, ...config } = result.data;
  config.adapter.targets = targetNames.filter((t) => config.adapter.targets.includes(t));
  return { ...config, allocation: given ?? (config.search ? 'search' : 'uniform') };
}

/** Whether a run trains an adapter after whatever comes before. */
export const trains = (config: RunConfig): config is TrainingConfig => config.train !== false;
/** Whether a run begins with a search. */
export const searches = (config: RunConfig): config is SearchConfig => config.search !== false;

/**
 * Mistakes by path ("train.batch"), each with what is wanted there; empty when parseRunConfig would
 * take it. For forms.
 */
export function runConfigProblems(json: unknown): Record<string, string> {
  const result = runConfig.safeParse(json);
  const issues = result.success ? [] : result.error.issues.flatMap((issue) => within(issue, json));
  return Object.fromEntries(
    issues.map((issue) => [issue.path.map(String).join('.'), wanted(issue)]).reverse(),
  );
}

/** As parseRunConfig, where training must follow. */
export function parseTrainingConfig(json: unknown, where: string): TrainingConfig {
  const config = parseRunConfig(json, where);
  if (!trains(config))
    throw new InputError(
      'bad-config',
      `${where}: train is false, but training settings are needed here.`,
    );
  return config;
}

/** What run.json says of resolved settings: those of other methods are left out. */
export const runJson = <C extends RunConfig>(
  config: C,
): Omit<C, 'adapter'> & { adapter: object } => ({
  ...config,
  adapter: applicable(config.adapter, config.adapter.method),
});

/** All defaults. */
export const defaultRunConfig = (): TrainingConfig => parseTrainingConfig({}, 'defaults');

const isRecord = (v: unknown): v is Record<string, unknown> =>
  typeof v === 'object' && v !== null && !Array.isArray(v);

/**
 * Of a setting that is a group or something else, given as a group: the mistakes inside; of
 * columns, those of the format that is nearest.
 */
function within(issue: z.core.$ZodIssue, input: unknown): z.core.$ZodIssue[] {
  const value = valueAt(issue.path, input);
  if (issue.code !== 'invalid_union' || issue.path[0] === 'allocation' || !isRecord(value))
    return [issue];
  const isFar = (issues: z.core.$ZodIssue[]) =>
    issues.some(
      (i) => i.code === 'unrecognized_keys' && i.keys.length === Object.keys(value).length,
    );
  const found =
    issue.path[0] === 'data'
      ? issue.errors.filter((e) => !isFar(e)).sort((a, b) => a.length - b.length)[0]
      : issue.errors.at(-1);
  return (
    found?.flatMap((inner) =>
      within({ ...inner, path: [...issue.path, ...inner.path] }, input),
    ) ?? [issue]
  );
}

const valueAt = (path: readonly PropertyKey[], input: unknown): unknown =>
  path.reduce<unknown>(
    (v, key) =>
      isRecord(v) || Array.isArray(v) ? (v as Record<PropertyKey, unknown>)[key] : undefined,
    input,
  );

const wanted = (issue: z.core.$ZodIssue) =>
  issue.message.replace(/^(Invalid input|Invalid option|Too small|Too big|Invalid type): /, '');

/** Of a key of `adapter` that the method given has no use for: whose it is. */
function foreign(path: readonly string[], key: string, input: unknown): string {
  const owners = path.join('.') === 'adapter' ? ownersOf(key) : null;
  const method = valueAt(['adapter', 'method'], input) ?? methodNames[0];
  return owners ? ` for method "${method}" (it belongs to ${owners.join(', ')})` : '';
}

function describe(issue: z.core.$ZodIssue, input: unknown): string[] {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map(
      (key) => `unknown key "${[...path, key].join('.')}"${foreign(path, key, input)}`,
    );
  const value = valueAt(issue.path, input);
  const message = wanted(issue);
  const shown = value === undefined ? '' : ` is ${JSON.stringify(value)}:`;
  return [`${path.join('.') || 'the contents'}${shown} ${message}`];
}
