// run.json: every setting of a run with its default, checked; unknown keys are errors.
import { z } from 'zod';
import {
  foreignSettings,
  type MethodName,
  methodNames,
  methodOf,
  methodSettings,
  methods,
} from '../adapters/methods/methods.ts';
import { targetNames } from '../allocation/allocation.ts';
import { presetNames, presetNeeds } from '../allocation/presets.ts';
import { type Columns, formatRoles } from '../data/dataset/roles.ts';
import { InputError } from '../util/error.ts';

// zod's probe of `new Function` breaks a strict content security policy
z.config({ jitless: true });

const count = (max: number) => z.number().int().min(1).max(max);

const column = z.string().min(1);
const columns = z.union(
  Object.values(formatRoles).map((roles) => {
    const of = (role: string, must: boolean) =>
      role === 'choices'
        ? z.union([column, z.array(column).min(2).max(10)])
        : must
          ? column
          : column.nullable().optional();
    return z.strictObject(
      Object.fromEntries(Object.entries(roles).map(([role, must]) => [role, of(role, must)])),
    );
  }),
  `expected the columns of one format: ${Object.values(formatRoles)
    .map((roles) => `{${Object.keys(roles).join(', ')}}`)
    .join(', ')}`,
) as unknown as z.ZodType<Columns, Columns>;

const data = z.strictObject({
  maxLength: z
    .number()
    .int()
    .min(2)
    .max(1_000_000)
    .default(256)
    .describe('Tokens a row may have; longer rows keep their first ones'),
  shuffle: z
    .boolean()
    .default(true)
    .describe('A new seeded order each epoch; false: file order, wrapping around'),
  validation: z
    .union(
      [z.number().min(0).lt(1), z.array(z.string().min(1)).min(1)],
      'expected a share from 0 to below 1, or a list of file names',
    )
    .default(0.05)
    .describe(
      'Share of rows kept for validation, 0: none; or names of data files all of whose rows are',
    ),
  weights: z
    .record(z.string().min(1), z.number().positive().max(1000))
    .default({})
    .describe(
      'How often an epoch the rows of a data file are trained on, by its name; of a fraction a seeded choice. Files left out: 1',
    ),
  completionOnly: z.boolean().default(true).describe('Only answers carry loss'),
  turns: z
    .enum(['all', 'last'])
    .default('all')
    .describe("Whose answers carry loss: every assistant turn's, or a conversation's last one's"),
  packing: z
    .boolean()
    .default(false)
    .describe(
      'Several documents in a row of maxLength tokens, longest first, each seeing itself alone; a batch then counts such rows',
    ),
  template: z
    .enum(['auto', 'none'])
    .default('auto')
    .describe("The model's chat template, or plain prompt + completion"),
  columns: columns
    .nullable()
    .default(null)
    .describe(
      "Columns of all rows by their role in a format; optional ones left out are those of the role's name, null: none. null: the format is found by the names",
    ),
  system: z
    .string()
    .regex(/\S/, 'expected a text that is not empty, or null')
    .nullable()
    .default(null)
    .describe(
      'System message of prompts and conversations that have none of their own; needs a chat template; null: none',
    ),
  limit: count(Number.MAX_SAFE_INTEGER)
    .nullable()
    .default(null)
    .describe('Rows to take: the first that can be used, in the order of the files; null: all'),
});

const adapter = z.strictObject({
  method: z.enum(methodNames).default(methodNames[0]),
  targets: z
    .array(z.enum(targetNames))
    .min(1)
    .default([...targetNames])
    .describe('The linears of every layer that are adapted'),
  rank: count(1024).default(8).describe('Rank of every expert (uniform), or the largest allowed'),
  alpha: z.number().positive().default(16),
  dropout: z.number().min(0).lt(1).default(0.05).describe("Dropout of the experts' input"),
  ...methodSettings,
  parameters: count(Number.MAX_SAFE_INTEGER)
    .nullable()
    .default(null)
    .describe(
      'Trainable parameters that the allocation is scaled to, its shape kept; null: as it is',
    ),
});

const allocationNames = ['uniform', 'search', ...presetNames] as const;

const allocation = z.union(
  [
    z.enum(allocationNames),
    z.strictObject({ experts: z.string().min(1), ranks: z.string().min(1) }),
  ],
  `expected ${allocationNames.map((name) => `"${name}"`).join(', ')} or {"experts": FILE, "ranks": FILE}`,
);

const search = z.strictObject({
  estimator: z
    .enum(['survival', 'paper'])
    .default('survival')
    .describe('How the GSVs get their gradient'),
  sizes: z
    .enum(['argmax', 'sampled'])
    .default('argmax')
    .describe('Sizes during the search: the likeliest, or drawn for each pair of micro-batches'),
  order: z
    .enum(['first-order', 'second-order'])
    .default('first-order')
    .describe('Of the bilevel gradient'),
  split: z
    .enum(['disjoint', 'paired'])
    .default('disjoint')
    .describe('Rows of the two levels: halves of the data, or alternating micro-batches'),
  steps: count(10_000_000).default(200).describe('Upper steps, each with a pair of micro-batches'),
  batch: count(65_536).default(64).describe('Rows a lower update; a multiple of microBatch'),
  microBatch: count(4096).default(16).describe('Rows at a time'),
  learningRate: z.number().min(0).default(3e-4).describe('Of the lower level'),
  schedule: z.enum(['linear', 'cosine', 'constant']).default('linear'),
  warmupSteps: z
    .number()
    .int()
    .min(0)
    .default(0)
    .describe('Lower updates until the full learning rate'),
  lowerOnlySteps: z
    .number()
    .int()
    .min(0)
    .max(10_000_000)
    .default(0)
    .describe('Pairs at the start without an upper step'),
  weightDecay: z.number().min(0).default(0),
  clipNorm: z
    .number()
    .positive()
    .nullable()
    .default(1)
    .describe('Largest norm of the lower gradient; null: no limit'),
  upperLearningRate: z.number().min(0).default(3e-3).describe('Of the GSVs'),
  cost: z
    .number()
    .min(0)
    .default(0)
    .describe(
      'Weight of the expected parameters, as a share of the largest allocation, in the upper loss',
    ),
  budget: z
    .number()
    .positive()
    .max(1)
    .nullable()
    .default(null)
    .describe(
      'Share of the largest allocation that the expected parameters are to stay below; null: none',
    ),
  closable: z.boolean().default(false).describe('A linear may end without any expert'),
});

const train = z.strictObject({
  steps: count(10_000_000).default(100).describe('Optimizer steps'),
  epochs: z
    .number()
    .positive()
    .max(100_000)
    .nullable()
    .default(null)
    .describe('Passes over the data; when set, replaces steps'),
  batch: count(65_536).default(64).describe('Rows an optimizer step; a multiple of microBatch'),
  microBatch: count(4096).default(16).describe('Rows at a time'),
  learningRate: z.number().min(0).default(3e-4),
  schedule: z.enum(['linear', 'cosine', 'constant']).default('linear'),
  warmupSteps: z.number().int().min(0).default(0),
  weightDecay: z.number().min(0).default(0),
  clipNorm: z
    .number()
    .positive()
    .nullable()
    .default(1)
    .describe('Largest norm of the gradient; null: no limit'),
  evaluateEvery: count(10_000_000)
    .nullable()
    .default(null)
    .describe('Steps between validations; null: at the end only'),
});

type Fail = (path: string[], message: string) => void;

/** What a search cannot be combined with. */
function checkSearch(
  s: z.output<typeof search>,
  method: MethodName,
  given: z.output<typeof allocation> | undefined,
  fail: Fail,
): void {
  if (!methodOf(method).allocated) {
    const able = methods.filter((m) => m.allocated).map((m) => `"${m.name}"`);
    fail(['search'], `needs adapter.method ${able.join(' or ')}`);
  }
  if (given !== undefined && given !== 'search')
    fail(['allocation'], 'is what the search finds: leave it out, or set search to false');
  if (s.budget !== null && s.cost > 0)
    fail(['search', 'cost'], 'is set by the budget itself: leave one of the two out');
  if (s.estimator === 'survival') return;
  if (s.sizes === 'sampled') fail(['search', 'sizes'], 'must be "argmax" with estimator "paper"');
  if (s.cost > 0) fail(['search', 'cost'], 'needs estimator "survival"');
  if (s.budget !== null) fail(['search', 'budget'], 'needs estimator "survival"');
  if (s.closable) fail(['search', 'closable'], 'needs estimator "survival"');
}

const runConfig = z
  .strictObject({
    $schema: z.string().optional(),
    seed: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(1),
    data: data.prefault({}),
    adapter: adapter.prefault({}),
    allocation: allocation
      .optional()
      .describe(
        'Experts and ranks of every linear: all alike (the default without a search), what the search finds (the default with one), a built-in pattern over the layers, drawn by the seed, or from two files',
      ),
    memory: count(Number.MAX_SAFE_INTEGER)
      .nullable()
      .default(null)
      .describe(
        'Bytes of GPU memory that search and training may each take with the model: recomputation, logits at a time and then train.microBatch are lowered until they fit; null: not limited',
      ),
    search: z
      .union([z.literal(false), search], 'expected false or the settings of a search')
      .default(false),
    train: z
      .union([z.literal(false), train], 'expected false or the settings of the training')
      .prefault({}),
  })
  .superRefine((c, ctx) => {
    const fail: Fail = (path, message) => ctx.addIssue({ code: 'custom', path, message });
    for (const key of ['train', 'search'] as const) {
      const level = c[key];
      if (level && level.batch % level.microBatch !== 0)
        fail([key, 'batch'], `must be a multiple of ${key}.microBatch (${level.microBatch})`);
    }
    if (c.search) checkSearch(c.search, c.adapter.method, c.allocation, fail);
    else if (c.allocation === 'search') fail(['allocation'], 'needs the settings of a search');
    if (!c.train && !c.search)
      fail(['train'], 'there is nothing to do without a search and without training');
    if (c.adapter.topK > c.adapter.experts)
      fail(['adapter', 'topK'], `must not be above adapter.experts (${c.adapter.experts})`);
    const held = Array.isArray(c.data.validation) ? c.data.validation : [];
    for (const name of held.filter((name) => Object.hasOwn(c.data.weights, name)))
      fail(['data', 'weights', name], 'is of a file for validation, which is not trained on');
    if (new Set(c.adapter.targets).size !== c.adapter.targets.length)
      fail(['adapter', 'targets'], 'names a linear twice');
    if (
      typeof c.allocation === 'string' &&
      c.allocation !== 'uniform' &&
      c.allocation !== 'search'
    ) {
      const needs = presetNeeds(c.allocation);
      for (const key of ['experts', 'rank'] as const)
        if (needs[key] > c.adapter[key])
          fail(['allocation'], `needs adapter.${key} ${needs[key]} or more, not ${c.adapter[key]}`);
    }
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
 * Checks the parsed contents of run.json and fills in the defaults. Keys of `adapter` that
 * belong to other methods are ignored and stand at their defaults in the result. Throws InputError('bad-config')
 * that lists every mistake by path and value.
 */
export function parseRunConfig(json: unknown, where: string): RunConfig {
  const input = withoutUnused(json);
  const result = runConfig.safeParse(input);
  if (!result.success) {
    const lines = result.error.issues
      .flatMap((issue) => within(issue, input))
      .flatMap((issue) => describe(issue, input));
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
  const input = withoutUnused(json);
  const result = runConfig.safeParse(input);
  const issues = result.success ? [] : result.error.issues.flatMap((issue) => within(issue, input));
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
      `${where}: train is false: the settings of a training are needed here.`,
    );
  return config;
}

/** All defaults. */
export const defaultRunConfig = (): TrainingConfig => parseTrainingConfig({}, 'defaults');

/** The JSON Schema of run.json, as in docs/run.schema.json. */
export const jsonSchema = (): object => ({
  title: 'run.json',
  ...z.toJSONSchema(runConfig, { io: 'input' }),
});

const isRecord = (v: unknown): v is Record<string, unknown> =>
  typeof v === 'object' && v !== null && !Array.isArray(v);

function withoutUnused(json: unknown): unknown {
  if (!isRecord(json) || !isRecord(json.adapter)) return json;
  const name = json.adapter.method ?? methodNames[0];
  const method = methods.find((m) => m.name === name);
  if (!method) return json;
  const foreign = foreignSettings(method);
  const used = Object.entries(json.adapter).filter(([key]) => !foreign.includes(key));
  const { allocation, ...rest } = json;
  const given = method.allocated && allocation !== undefined && { allocation };
  return { ...rest, ...given, adapter: Object.fromEntries(used) };
}

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

function describe(issue: z.core.$ZodIssue, input: unknown): string[] {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => `unknown key "${[...path, key].join('.')}"`);
  const value = valueAt(issue.path, input);
  const message = wanted(issue);
  const shown = value === undefined ? '' : ` is ${JSON.stringify(value)}:`;
  return [`${path.join('.') || 'the contents'}${shown} ${message}`];
}
