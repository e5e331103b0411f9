// run.json's `adapter`: the method, its own settings, and those of all methods.
import { z } from 'zod';
import {
  defaultSettings,
  type MethodName,
  type MethodSettings,
  methodNames,
  methodSettings,
  methods,
  takes,
} from '../adapters/methods/methods.ts';
import { targetNames } from '../allocation/allocation.ts';
import { count, setting } from '../util/setting.ts';

const isMethod = {
  label: 'Method',
  help: 'What is added to each linear',
  choices: Object.fromEntries(methods.map(({ name, title }) => [name, title])),
};
const method = setting(z.enum(methodNames).default(methodNames[0]), isMethod);

const rank = setting(count(1024).default(8), {
  label: 'Rank',
  help: 'Of every expert or linear; with a search, the highest that it may get',
});

const common = {
  alpha: setting(z.number().positive().default(16), {
    label: 'Alpha',
    help: 'The update is scaled by alpha / rank',
  }),
  dropout: setting(z.number().min(0).lt(1).default(0.05), {
    label: 'Dropout',
    help: 'On the adapter’s input',
  }),
  parameters: setting(count(Number.MAX_SAFE_INTEGER).nullable().default(null), {
    label: 'Trainable parameters',
    help: 'Scales experts and ranks to this total, keeping their pattern; plain LoRA of one rank gets the nearest rank',
    none: 'not scaled',
  }),
  targets: setting(
    z
      .array(z.enum(targetNames))
      .min(1)
      .default([...targetNames]),
    { help: 'Linears to adapt in every layer' },
  ),
};

/** The settings of all methods together. */
export const adapterSettings = { method, rank, ...methodSettings, ...common };

type Common = z.ZodObject<typeof common & { rank: typeof rank }>;
/**
 * `adapter`, resolved. It is flat: settings of other methods stand at their defaults, so that
 * whoever reads one need not ask for the method.
 */
export type AdapterSettings = { method: MethodName } & z.output<Common> & MethodSettings;
type AdapterInput = Partial<z.input<Common> & MethodSettings & { method: MethodName }>;

const isRecord = (v: unknown): v is Record<string, unknown> =>
  typeof v === 'object' && v !== null && !Array.isArray(v);

const [first, ...others] = methods.map(({ name, settings }) => {
  const literal = z.literal(name);
  const own = name === methodNames[0] ? literal.default(name) : literal;
  return z
    .strictObject({ method: setting(own, isMethod), rank, ...settings, ...common })
    .transform((given) => ({ ...defaultSettings(), ...given }));
});

/** A method's settings: a key of another method is unknown. */
export const adapter = z.preprocess(
  (given) => (isRecord(given) ? { method: methodNames[0], ...given } : given),
  z.discriminatedUnion('method', [first, ...others], {
    error: ({ code }) =>
      code === 'invalid_union'
        ? `expected one of ${methodNames.map((name) => `"${name}"`).join('|')}`
        : undefined,
  }),
) as unknown as z.ZodType<AdapterSettings, AdapterInput>;

/** Those of `adapter`'s keys that a method has a use for. */
export const applicable = (given: object, name: MethodName): Record<string, unknown> =>
  Object.fromEntries(Object.entries(given).filter(([key]) => takes(name, key)));
