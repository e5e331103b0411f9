// All settings of run.json as a list, and what is made from it: JSON Schema, help, docs.
import { z } from 'zod';
import { ownersOf } from '../adapters/methods/methods.ts';
import { type Note, noteOf } from '../util/setting.ts';
import { adapterSettings } from './adapter.ts';
import { data } from './data.ts';
import { runConfig } from './run-config.ts';
import { search, train } from './stages.ts';

/** A setting: where it stands in run.json, and all that is known of it. */
export interface Setting extends Note {
  /** Such as "train.steps". */
  path: string;
  /** How it is typed: as a number or text, as one of some values, as on or off; null: not at all. */
  kind: 'number' | 'text' | 'choice' | 'switch' | null;
  /** Of a choice. */
  values: readonly string[];
  /** Such as "1 to 64"; empty where any value of its kind will do. */
  range: string;
  /** Its default; undefined where that follows from other settings. */
  initial: unknown;
}

/** The settings of the parts of run.json that are objects. */
export const groups = {
  data: data.shape,
  adapter: adapterSettings,
  search: search.shape,
  train: train.shape,
};

/** A schema without its default and null. */
function inner(schema: z.core.$ZodType): z.core.$ZodType {
  const wrapped =
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodOptional;
  if (wrapped) return inner(schema.def.innerType);
  return schema instanceof z.ZodUnion && schema.def.options[0] instanceof z.ZodNumber
    ? schema.def.options[0]
    : schema;
}

function kindOf(schema: z.core.$ZodType): Setting['kind'] {
  if (schema instanceof z.ZodNumber) return 'number';
  if (schema instanceof z.ZodString) return 'text';
  if (schema instanceof z.ZodBoolean) return 'switch';
  return schema instanceof z.ZodEnum ? 'choice' : null;
}

/** Groups of digits from five on. */
const written = (n: number): string => (n < 10_000 ? String(n) : n.toLocaleString('en-US'));

function rangeOf(schema: z.core.$ZodType): string {
  if (schema instanceof z.ZodEnum) return schema.options.join(', ');
  if (schema instanceof z.ZodBoolean) return 'true, false';
  if (!(schema instanceof z.ZodNumber)) return '';
  const { minValue, maxValue } = schema;
  const low = minValue ?? Number.NEGATIVE_INFINITY;
  const high = maxValue ?? Number.POSITIVE_INFINITY;
  const from = `${schema.safeParse(low).success ? '' : 'above '}${written(low)}`;
  if (high >= Number.MAX_SAFE_INTEGER) return from.startsWith('above') ? from : `${from} or more`;
  return `${from} to ${schema.safeParse(high).success ? '' : 'below '}${written(high)}`;
}

function settingOf(path: string, schema: z.core.$ZodType): Setting {
  const note = noteOf(schema);
  if (!note) throw new Error(`${path} has no note: give it one with setting()`);
  const bare = inner(schema);
  const initial = (schema as z.ZodType).safeParse(undefined).data;
  const values = bare instanceof z.ZodEnum ? bare.options.map(String) : [];
  return { ...note, path, kind: kindOf(bare), values, range: rangeOf(bare), initial };
}

const below = (group: string, shape: z.core.$ZodShape): Setting[] =>
  Object.entries(shape).map(([key, schema]) => settingOf(`${group}.${key}`, schema));

/** Every setting, in the order of the schema. */
export const settings: readonly Setting[] = Object.entries(runConfig.shape).flatMap(
  ([key, schema]) => {
    if (key === '$schema') return [];
    const group = Object.entries(groups).find(([name]) => name === key)?.[1];
    return [
      ...(noteOf(schema) ? [settingOf(key, schema)] : []),
      ...(group ? below(key, group) : []),
    ];
  },
);

/** The setting at a path. */
export const settingAt = (path: string): Setting | undefined =>
  settings.find((setting) => setting.path === path);

/** What is said about a setting of run.json. */
const descriptionOf = ({ help, none, unit }: Note): string =>
  [help, unit && `in ${unit.stored}`, none && `null: ${none}`].filter(Boolean).join('; ');

/** A default as run.json has it; a group's is that of all in it. */
function shown(value: unknown): string {
  if (value === undefined) return '';
  if (Array.isArray(value)) return 'all';
  return typeof value === 'object' && value !== null ? '{}' : JSON.stringify(value);
}

/** Path, default, range and description of every setting, as text. */
const rows = (): string[][] =>
  settings.map((setting) => {
    const { path, range, needs } = setting;
    const [group, key] = path.split('.');
    const owners = group === 'adapter' ? ownersOf(key) : null;
    const limits = [
      needs && `with ${needs[0]} "${needs[1]}"`,
      owners && `of ${owners.join(', ')}`,
    ].filter(Boolean);
    const about = descriptionOf(setting);
    const limited = limits.length > 0 ? `${about} (${limits.join('; ')})` : about;
    return [path, shown(setting.initial), range, limited];
  });

/** Rows with their cells one below the other. */
function aligned(table: readonly string[][]): string[][] {
  const widths = table[0].map((_, i) => Math.max(...table.map((row) => row[i].length)));
  return table.map((row) => row.map((text, i) => text.padEnd(widths[i])));
}

/** The table of all settings in a help text. */
export const settingLines = (): string =>
  aligned(rows())
    .map((row) => `  ${row.join('  ')}`.trimEnd())
    .join('\n');

/** The table of all settings in Markdown. */
export function settingTable(): string {
  const code = (text: string) => (text === '' ? '–' : `\`${text}\``);
  const body = rows().map(([path, initial, range, about], i) => [
    code(path),
    settings[i].label ?? '–',
    code(initial),
    range || '–',
    about,
  ]);
  const head = ['setting', 'on the page', 'default', 'range', 'what it is'];
  const [first, ...rest] = aligned([head, ...body]);
  const rule = first.map((cell) => '-'.repeat(cell.length));
  return [first, rule, ...rest].map((row) => `| ${row.join(' | ')} |\n`).join('');
}

/** The JSON Schema of run.json, as in docs/run.schema.json. */
export const jsonSchema = (): object => ({
  title: 'run.json',
  ...z.toJSONSchema(runConfig, {
    io: 'input',
    override({ zodSchema, jsonSchema }) {
      const note = noteOf(zodSchema);
      if (!note) return;
      if (note.label) jsonSchema.title = note.label;
      jsonSchema.description = descriptionOf(note);
    },
  }),
});
