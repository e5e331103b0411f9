// Options of commands: what each takes, how it is read from the command line, and the help made
// from it.
import { parseArgs } from 'node:util';
import { InputError } from '../util/error.ts';

/** One option; `read` turns what was typed into its value. */
export interface Option<V> {
  /** Stands for the value in the help; empty for a flag. */
  placeholder: string;
  about: string;
  required: boolean;
  many: boolean;
  /** Whether it is given without a flag. */
  bare?: boolean;
  /** `typed` is empty where the option was not given. */
  read(typed: readonly string[], flag: string): V;
}

/** The values of a table of options. */
export type Values<O> = { [K in keyof O]: O[K] extends Option<infer V> ? V : never };

const usage = (message: string) => new InputError('bad-option', message);

function option<V>(
  placeholder: string,
  about: string,
  read: (text: string, flag: string) => V,
): Option<V | undefined> {
  return {
    placeholder,
    about,
    required: false,
    many: false,
    read: (typed, flag) => (typed.length === 0 ? undefined : read(typed[0], flag)),
  };
}

/** Text that `check` returns, or refuses. */
export const checked = (
  placeholder: string,
  about: string,
  check: (text: string, flag: string) => string,
): Option<string | undefined> => option(placeholder, about, check);

/** Text that is not empty: a path, a prompt. */
export const text = (placeholder: string, about: string): Option<string | undefined> =>
  option(placeholder, about, (v, flag) => {
    if (v === '') throw usage(`${flag} is empty.`);
    return v;
  });

/** Text that is given without a flag; at most one of a command. */
export const argument = (placeholder: string, about: string): Option<string | undefined> => ({
  ...text(placeholder, about),
  bare: true,
});

/** One or more texts after one flag, or the flag several times. */
export const texts = (placeholder: string, about: string): Option<string[]> => ({
  ...text(placeholder, about),
  many: true,
  read: (typed) => [...typed],
});

/** An option that must be given. */
export const required = <V>(o: Option<V>): Option<Exclude<V, undefined>> =>
  ({ ...o, required: true }) as Option<Exclude<V, undefined>>;

/** A switch. */
export const flag = (about: string): Option<boolean> => ({
  placeholder: '',
  about,
  required: false,
  many: false,
  read: (typed) => typed.length > 0,
});

/** A whole number in [low, high]. */
export const whole = (about: string, low: number, high: number): Option<number | undefined> =>
  option('N', about, (v, flag) => {
    const n = Number(v);
    if (!/^\d+$/.test(v) || n < low || n > high)
      throw usage(`${flag} is "${v}", not a whole number from ${low} to ${high}.`);
    return n;
  });

/** A number in [low, high]. */
export const decimal = (
  placeholder: string,
  about: string,
  low: number,
  high: number,
): Option<number | undefined> =>
  option(placeholder, about, (v, flag) => {
    const n = Number(v);
    if (v.trim() === '' || !(n >= low && n <= high))
      throw usage(`${flag} is "${v}", not a number from ${low} to ${high}.`);
    return n;
  });

/** One of a few words. */
export const choice = <T extends string>(
  words: readonly T[],
  about: string,
): Option<T | undefined> =>
  option(words.join('|'), about, (v, flag) => {
    const found = words.find((w) => w === v);
    if (found === undefined) throw usage(`${flag} is "${v}", not one of ${words.join(', ')}.`);
    return found;
  });

const dashed = (key: string): string => `--${key.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;

const called = (key: string, { placeholder, bare }: Option<unknown>): string =>
  bare ? placeholder : `${dashed(key)} ${placeholder}`;

/**
 * Reads the arguments of one command; keys of the table are camelCase names of --dashed-flags.
 * @throws InputError bad-option for anything unknown, missing, given twice or of the wrong kind
 */
export function parseOptions<O extends Record<string, Option<unknown>>>(
  argv: readonly string[],
  table: O,
): Values<O> {
  const typed = new Map<string, string[]>();
  const options = Object.fromEntries(
    Object.entries(table).map(([key, o]) => [
      dashed(key).slice(2),
      { type: o.placeholder ? ('string' as const) : ('boolean' as const), multiple: true as const },
    ]),
  );
  const keys = new Map(Object.keys(table).map((key) => [dashed(key).slice(2), key]));
  let last: string | undefined;
  for (const token of parse(argv, options)) {
    if (token.kind === 'option') {
      const key = keys.get(token.name)!;
      const list = typed.get(key);
      if (list && !table[key].many) throw usage(`${token.rawName} is given twice.`);
      typed.set(key, [...(list ?? []), token.value ?? '']);
      last = table[key].many ? key : undefined;
    } else if (token.kind === 'positional') {
      const key = last ?? Object.keys(table).find((k) => table[k].bare && !typed.has(k));
      if (key === undefined) throw usage(`Unexpected argument "${token.value}".`);
      typed.set(key, [...(typed.get(key) ?? []), token.value]);
    }
  }
  const missing = Object.entries(table).filter(([key, o]) => o.required && !typed.has(key));
  if (missing.length > 0)
    throw usage(`${missing.map(([key, o]) => called(key, o)).join(', ')} must be given.`);
  return Object.fromEntries(
    Object.entries(table).map(([key, o]) => [key, o.read(typed.get(key) ?? [], dashed(key))]),
  ) as Values<O>;
}

function parse(
  argv: readonly string[],
  options: Record<string, { type: 'string' | 'boolean'; multiple: true }>,
) {
  try {
    return parseArgs({
      args: [...argv],
      options,
      strict: true,
      allowPositionals: true,
      tokens: true,
    }).tokens;
  } catch (e) {
    if (!(e instanceof TypeError)) throw e;
    throw usage(`${e.message.split(/\n|\. /)[0].replace(/\.$/, '')}.`);
  }
}

/** The options as lines of a help text. */
export function optionLines(table: Record<string, Option<unknown>>): string {
  const rows = Object.entries(table).map(([key, o]) => [
    `${called(key, o)}${o.many ? ' …' : ''}`.trimEnd(),
    `${o.about}${o.required ? ' (required)' : ''}`,
  ]);
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n');
}
