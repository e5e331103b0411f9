// The settings form: what stands in it, keyed by where it goes in run.json, and when it has a use.
import type { z } from 'zod';
import { methodOf, takes } from '../adapters/methods/methods.ts';
import { type groups, type Setting, settings } from '../settings/catalog.ts';
import type { RunConfig } from '../settings/run-config.ts';
import type { DataOptions } from '../worker/protocol/api.ts';
import { type FileUses, heldOut } from './files.ts';

type Groups = { [G in keyof typeof groups]: z.output<z.ZodObject<(typeof groups)[G]>> };
type Path = { [G in keyof Groups]: `${G}.${keyof Groups[G] & string}` }[keyof Groups];
type ValueAt<P> = P extends `${infer G extends keyof Groups}.${infer K}`
  ? Groups[G][K & keyof Groups[G]]
  : never;
/** What a field holds: numbers as they are typed, null as the empty text. */
type Typed<V> = number extends V
  ? string
  : string extends V
    ? string
    : boolean extends V
      ? boolean
      : Extract<V, string>;
type Fields = {
  [P in Path as Typed<ValueAt<P>> extends never ? never : P]: Typed<ValueAt<P>>;
} & { [P in Exclude<keyof RunConfig, keyof Groups | 'allocation'>]: Typed<RunConfig[P]> };

/** A setting that is typed, chosen or switched. */
export type FieldName = keyof Fields;
/** One whose field holds text. */
export type TextField = { [P in FieldName]: string extends Fields[P] ? P : never }[FieldName];

/** What stands in the form. */
export type Form = Fields & {
  /** Whether run.json has these stages. */
  search: boolean;
  train: boolean;
  'data.columns': DataOptions['columns'];
  /** What files are used for: data.weights, and data.validation by files. */
  files: FileUses;
  /** The review waits for a person; a setting of the page, not of run.json. */
  waitAtReview: boolean;
};

/** The settings with a field, by their paths. */
export const fields = Object.fromEntries(
  settings.filter(({ kind }) => kind !== null).map((setting) => [setting.path, setting]),
) as Record<FieldName, Setting>;

/** The fields of a part of run.json that the page shows, but for some. */
export const fieldsOf = (group: keyof Groups, except: readonly FieldName[] = []): FieldName[] =>
  (Object.keys(fields) as FieldName[]).filter(
    (name) => name.startsWith(`${group}.`) && fields[name].label && !except.includes(name),
  );

/** Whether these settings begin with a search, which their method must have. */
export const searching = (form: Form): boolean =>
  form.search && methodOf(form['adapter.method']).estimators.length > 0;

/** Whether a field has a use, as the others stand; one that has none is not looked at. */
export function isUsed(form: Form, name: FieldName): boolean {
  const [group, key] = name.split('.');
  if (group === 'adapter') return takes(form['adapter.method'], key);
  if (group === 'train') return !searching(form) || form.train;
  if (group === 'search') {
    const { estimators } = methodOf(form['adapter.method']);
    if (name === 'search.estimator') return searching(form) && estimators.length > 1;
    const [other, value] = fields[name].needs ?? [];
    const isFixed = other === 'estimator' && estimators.length === 1;
    const set = isFixed ? estimators[0] : form[`search.${other}` as FieldName];
    return searching(form) && (!other || set === value);
  }
  return name !== 'data.validation' || heldOut(form.files).length === 0;
}
