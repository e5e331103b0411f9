// What each data file is used for, and how often its rows come, as the form has it; its part of
// run.json's `data`.
import type { DatasetReport, SplitSettings } from '../worker/protocol/api.ts';

/** A file's use and its weight as it was typed. */
export interface FileUse {
  use: 'training' | 'validation';
  weight: string;
}

/** By the file's name. Files that are not in it train with weight 1. */
export type FileUses = Readonly<Record<string, FileUse>>;

const forTraining: FileUse = { use: 'training', weight: '1' };

/** The use of a file. */
export const fileUse = (uses: FileUses, name: string): FileUse =>
  Object.hasOwn(uses, name) ? uses[name] : forTraining;

const heldOutName = /(^|[^a-z])(val|valid|validation|dev|eval|test)([^a-z]|$)/i;

/**
 * The uses to begin with: files whose names say that they are for validation or tests are held out,
 * where others are left to train on.
 */
export function usesByName(names: readonly string[]): FileUses {
  const held = names.filter((name) => heldOutName.test(name));
  if (held.length === new Set(names).size) return {};
  return Object.fromEntries(held.map((name) => [name, { ...forTraining, use: 'validation' }]));
}

/** The uses that a run's settings give the files; a share is none of them. */
export const usesOf = ({
  validation,
  weights,
}: Pick<SplitSettings, 'validation' | 'weights'>): FileUses => ({
  ...Object.fromEntries(
    Object.entries(weights).map(([name, weight]) => [
      name,
      { use: 'training', weight: String(weight) },
    ]),
  ),
  ...Object.fromEntries(
    typeof validation === 'number'
      ? []
      : validation.map((name) => [name, { ...forTraining, use: 'validation' }]),
  ),
});

/** The files that are held out. */
export const heldOut = (uses: FileUses): string[] =>
  Object.keys(uses).filter((name) => uses[name].use === 'validation');

/** Why a weight is none, or null. */
export function weightProblem(weight: string): string | null {
  if (weight.trim() === '') return 'enter a number';
  const value = Number(weight);
  if (!Number.isFinite(value)) return `“${weight}” is not a number`;
  return value > 0 && value <= 1000 ? null : 'enter a number above 0, at most 1000';
}

/** The weights other than 1 of the files that are trained on. */
export const weightsOf = (uses: FileUses): Record<string, number> =>
  Object.fromEntries(
    Object.entries(uses)
      .filter(([, { use, weight }]) => use === 'training' && Number(weight) !== 1)
      .map(([name, { weight }]) => [name, Number(weight)]),
  );

/** The first thing that is wrong with the uses, or null. */
export function usesProblem(uses: FileUses): string | null {
  for (const [name, { use, weight }] of Object.entries(uses)) {
    const problem = use === 'training' ? weightProblem(weight) : null;
    if (problem !== null) return `The weight of ${name}: ${problem}.`;
  }
  return null;
}

/** About how many rows an epoch has. @param share of them that is held out where no file is */
export function rowsOfEpoch({ parts }: DatasetReport, uses: FileUses, share: number): number {
  const rows = parts.reduce((sum, { name, examples }) => {
    const { use, weight } = fileUse(uses, name);
    return use === 'training' ? sum + examples * Number(weight) : sum;
  }, 0);
  return rows * (heldOut(uses).length > 0 ? 1 : 1 - share);
}
