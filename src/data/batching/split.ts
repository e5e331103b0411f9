// Which rows are trained on, how often an epoch, and which are held out: by share or by file; and
// the two levels of a search.
import { InputError } from '../../util/error.ts';
import { permutation } from '../../util/random.ts';

/** Row numbers for training and for validation. */
export interface Split {
  train: Int32Array<ArrayBuffer>;
  validation: Int32Array<ArrayBuffer>;
}

/** The settings of run.json's `data` that decide on it. */
export interface SplitSettings {
  /** Share of the rows, or names of files all of whose rows are held out. */
  validation: number | readonly string[];
  /** How often an epoch the rows of a file come; 1 for files that it does not name. */
  weights: Readonly<Record<string, number>>;
  shuffle: boolean;
}

/** The files of rows, row by row; '' for rows of none. */
export const filesOf = (rows: readonly { file?: string }[]): string[] =>
  rows.map(({ file = '' }) => file);

/**
 * Whether a row's file matches `name`, which may be the file itself or the archive containing it.
 */
export const isNamed = (file: string, name: string): boolean =>
  file === name || `${file}.gz` === name || file.startsWith(`${name}/`);

/**
 * Sets round(n·fraction) of n rows aside, at least 1 where fraction > 0 and n ≥ 2, and never all of
 * them: the last ones without shuffling, a seeded choice with it. Both parts ascend.
 */
export function splitValidation(
  n: number,
  fraction: number,
  shuffle: boolean,
  seed: number,
): Split {
  const wanted =
    fraction > 0 && n >= 2 ? Math.min(n - 1, Math.max(1, Math.round(n * fraction))) : 0;
  const order = shuffle ? permutation(n, seed, 'validation split') : range(n);
  return { train: order.slice(0, n - wanted).sort(), validation: order.slice(n - wanted).sort() };
}

/**
 * Every row once, in training or in validation.
 * @throws InputError for a name that no row's file has
 */
export function splitRows(
  files: readonly string[],
  { validation, weights, shuffle }: SplitSettings,
  seed: number,
): Split {
  checkNames(files, Object.keys(weights), 'data.weights');
  if (typeof validation === 'number')
    return splitValidation(files.length, validation, shuffle, seed);
  checkNames(files, validation, 'data.validation');
  const isHeld = heldFiles(validation);
  const all = range(files.length);
  return {
    train: all.filter((i) => !isHeld(files[i])),
    validation: all.filter((i) => isHeld(files[i])),
  };
}

/**
 * The rows of an epoch, by the weights of their files, and those held out.
 * @throws InputError for a name that no row's file has
 */
export function epochOf(files: readonly string[], settings: SplitSettings, seed: number): Split {
  const { train, validation } = splitRows(files, settings, seed);
  return { train: weighted(train, files, settings.weights, seed), validation };
}

/** Whether a file is one of those whose rows are all held out. */
export function heldFiles(validation: SplitSettings['validation']): (file: string) => boolean {
  return (file) => typeof validation !== 'number' && validation.some((name) => isNamed(file, name));
}

function checkNames(files: readonly string[], names: readonly string[], path: string): void {
  const there = new Set(files);
  for (const name of names) {
    if ([...there].some((file) => isNamed(file, name))) continue;
    const known = [...there].filter((file) => file !== '');
    const among =
      known.length === 0
        ? 'the data has no named files'
        : `usable rows are in ${known.slice(0, 8).join(', ')}`;
    throw new InputError(
      'bad-config',
      `${path} names ${name}, but no usable row is from it: ${among}.`,
    );
  }
}

/**
 * The rows of an epoch, some several times: those of each file as often as its weight says. Of a
 * weight's fraction a seeded choice of rows comes once more, the same in every epoch, of any file
 * at least one row. Without weights the rows as they are.
 */
export function weighted(
  rows: Int32Array<ArrayBuffer>,
  files: readonly string[],
  weights: SplitSettings['weights'],
  seed: number,
): Int32Array<ArrayBuffer> {
  const entries = Object.entries(weights).filter(([, weight]) => weight !== 1);
  if (entries.length === 0) return rows;
  const byFile = new Map<string, number[]>();
  for (const i of rows) {
    const own = byFile.get(files[i]);
    if (own) own.push(i);
    else byFile.set(files[i], [i]);
  }
  const out: number[] = [];
  for (const [file, own] of byFile) {
    const weight = entries.find(([name]) => isNamed(file, name))?.[1] ?? 1;
    const whole = Math.floor(weight);
    for (let pass = 0; pass < whole; pass++) for (const i of own) out.push(i);
    const rest = Math.max(whole === 0 ? 1 : 0, Math.round((weight - whole) * own.length));
    const chosen = permutation(own.length, seed, `weight of ${file}`).slice(0, rest).sort();
    for (const k of chosen) out.push(own[k]);
  }
  return Int32Array.from(out);
}

/**
 * The rows of a search's two levels (method §3). `disjoint`: one half each, drawn by the seed;
 * without shuffling the first half (the larger one if their number is odd) and the rest. `paired`:
 * both levels have all rows.
 */
export function levelsOf(
  rows: Int32Array<ArrayBuffer>,
  split: 'disjoint' | 'paired',
  shuffle: boolean,
  seed: number,
): Record<'lower' | 'upper', Int32Array<ArrayBuffer>> {
  if (split === 'paired') return { lower: rows, upper: rows };
  const drawn = shuffle
    ? permutation(rows.length, seed, 'levels of the search').map((i) => rows[i])
    : rows;
  const half = Math.ceil(rows.length / 2);
  return { lower: drawn.slice(0, half), upper: drawn.slice(half) };
}

const range = (n: number): Int32Array<ArrayBuffer> => Int32Array.from({ length: n }, (_, i) => i);
