// What is said about a setting, once, beside its zod schema. The form, the command line's help, the
// JSON Schema and the docs read it here.
import { z } from 'zod';

/** What is said about a setting. */
export interface Note {
  /** A noun, its name on the page; a setting without one is not shown there. */
  label?: string;
  /** A phrase without a full stop. */
  help: string;
  /** What null stands for, such as "no limit". */
  none?: string;
  /** The page's unit, how many of run.json's it is, and those. */
  unit?: { shown: string; size: number; stored: string };
  /** The page's words for the values of a choice. */
  choices?: Readonly<Record<string, string>>;
  /** A choice of two that the page shows as a switch: the value that is on. */
  on?: string;
  /** A setting of the same group, and the value that it must have. */
  needs?: readonly [key: string, value: string];
}

const notes = z.registry<Note>();

/** A schema with what is said about it. */
export function setting<T extends z.ZodType>(schema: T, note: Note): T {
  notes.add(schema, note);
  return schema;
}

/** What was said about a schema. */
export const noteOf = (schema: z.core.$ZodType): Note | undefined => notes.get(schema);

/** A whole number from 1 on. */
export const count = (max: number): z.ZodNumber => z.number().int().min(1).max(max);
