// What a method of adapting linears is, apart from its mathematics: what it stores at a site, its
// settings, its names in files. The page sees it too; nothing here touches the engine.
import type { z } from 'zod';
import type { Sizes } from '../../allocation/allocation.ts';

/** An adapted linear: C and O, and the rank of each of its experts. */
export interface SiteShape {
  inputs: number;
  outputs: number;
  ranks: readonly number[];
}

/** Rows of a bank that are one tensor of an adapter file; `key` follows the linear's module path. */
export interface Rows {
  key: string;
  rows: number;
}

/** A matrix beside the banks: its shape, and where it starts. */
export interface Extra {
  key: string;
  shape: readonly [number, number];
  /** U(−1/√n, 1/√n) (kaiming-uniform with a = √5 for n inputs), or one value. */
  start: { inputs: number } | { value: number };
}

/** What a site stores. */
export interface Stored {
  /** Rows (·, C) that multiply dropout(x), U(−1/√C, 1/√C) at the start. */
  dropped: readonly Rows[];
  /** Rows (·, C) that multiply x itself, with the same start. */
  plain: readonly Rows[];
  /** Rows of Bᵀ (·, O), one a column that the method's mix gives; 0 at the start, (O, ·) in files. */
  up: readonly Rows[];
  extra?: readonly Extra[];
}

/** A method; `Own` are the settings of run.json's `adapter` that are its own. */
export interface MethodShape<
  Name extends string = string,
  Own extends z.ZodRawShape = z.ZodRawShape,
> {
  /** In run.json, and the name of its folder. */
  name: Name;
  /** Its place where methods are listed; the first one is the default. */
  order: number;
  /** On the page: of a choice, within a sentence, and a sentence of its own. */
  title: string;
  about: string;
  help: string;
  settings: Own;
  /** What is wrong with settings that are right one by one, by key. */
  check?(settings: z.output<z.ZodObject<Own>>): Partial<Record<keyof Own & string, string>>;
  /** What an allocation chooses at a site; with one rank it has one expert, or none where closed. */
  sizes: Sizes;
  /** How a search may take the gradient of sizes (method §2, §6); none: sizes cannot be searched. */
  estimators: readonly ('survival' | 'paper')[];
  /** Whether tokens choose among experts, so that routing is counted and balanced. */
  routed: boolean;
  /** PEFT's own format, or this project's (method §5), and the own settings that its files hold. */
  file: { type: 'LORA' } | { type: 'GUILOMO'; settings: readonly (keyof Own & string)[] };
  stored(site: SiteShape): Stored;
  /** s of an expert of rank `rank`, r_max being adapter.rank. */
  scale(rank: number, spec: { alpha: number; rank: number } & z.output<z.ZodObject<Own>>): number;
}

/** Types a method by what it declares. */
export const defineMethod = <const Name extends string, Own extends z.ZodRawShape>(
  shape: MethodShape<Name, Own>,
): MethodShape<Name, Own> => shape;

/** Numbers that a site stores. */
export function storedSize(method: Pick<MethodShape, 'stored'>, site: SiteShape): number {
  const { dropped, plain, up, extra = [] } = method.stored(site);
  const rows = (list: readonly Rows[]) => list.reduce((sum, r) => sum + r.rows, 0);
  const beside = extra.reduce((sum, { shape }) => sum + shape[0] * shape[1], 0);
  return (rows(dropped) + rows(plain)) * site.inputs + rows(up) * site.outputs + beside;
}
