// The data worker's reports of a dataset, and the options to read one. Types only.
import type { z } from 'zod';
import type { BadRow, DataFileReport } from '../../data/dataset/dataset.ts';
import type { reading } from '../../settings/data.ts';

/**
 * One token of a preview: whether it carries loss, carries none, or lies beyond the longest row
 * that is allowed.
 */
export interface PreviewToken {
  text: string;
  mask: 'trained' | 'masked' | 'truncated';
}

/**
 * A row on its way: as it stands in the file (null: plain text), what the template makes of it, and
 * its first tokens.
 */
export interface RowPreview {
  file: string;
  line: number;
  raw: string | null;
  /** Of a question with choices: them, and the place of the right one. */
  choices: { texts: string[]; correct: number } | null;
  rendered: string;
  tokens: PreviewToken[];
  /** Tokens in all, and those of them that are kept. */
  length: number;
  kept: number;
}

/** What else is known of the rows that can be used. */
export interface DataChecks {
  /**
   * Rows in which a token that ends an answer or a text carries loss; null: it is not known which
   * tokens do (no tokenizer).
   */
  ends: number | null;
  /** Rows left out since they hold nothing. */
  empty: number;
  /** Rows whose tokens equal those of a row before. */
  duplicates: number;
  /** Rows by their tokens: those with up to `upTo` that are not in the bin before. */
  lengths: { upTo: number; rows: number }[];
}

/** What validation and the weights of files come to. */
export interface SplitReport {
  /** Of an epoch: a row counts as often as it comes. */
  train: number;
  validation: number;
  /** Validation rows whose tokens equal those of a training row. */
  overlap: number;
  /** Of an epoch. */
  tokens: number;
}

/** What was found in the dropped files. */
export interface DatasetReport {
  files: string[];
  /** Those files with their rows, and the files inside archives each for itself. */
  parts: DataFileReport[];
  rows: number;
  /** Reading ended at the limit of rows: `rows` are those up to there. */
  limited: boolean;
  /** How many rows have which format, by its name; files of plain text have none. */
  formats: Record<string, number>;
  examples: number;
  /** Rows left out in all, and the first of them. */
  badRows: number;
  bad: BadRow[];
  truncated: number;
  tokens: number;
  trainedTokens: number;
  longest: number;
  checks: DataChecks;
  /** Columns that roles can be chosen from; null where there are none. */
  found: ColumnsFound | null;
  /** The first rows. */
  previews: RowPreview[];
  /**
   * Rows set aside that are not in the data (the demo's own); null: those of the validation split.
   */
  heldOut: number | null;
}

/**
 * How far reading is: bytes on disk, and rows found in them; the time left as it looks by now, null
 * at first.
 */
export interface ReadingProgress {
  bytes: number;
  totalBytes: number;
  rows: number;
  secondsLeft: number | null;
}

/**
 * The columns of a file. In place of a report: no format could be told by their names, and the page
 * asks for their roles.
 */
export interface ColumnsFound {
  file: string;
  columns: string[];
}

/** Where data comes from. */
export type DataSource = { kind: 'demo' } | { kind: 'files'; files: File[] };

/** How data is read. */
export type DataOptions = z.output<z.ZodObject<typeof reading>> & {
  /** Files that are read whole, whatever the limit: those for validation. */
  whole: readonly string[];
};

export type { SplitSettings } from '../../data/batching/split.ts';
export type { BadRow, DataFileReport } from '../../data/dataset/dataset.ts';
export type { Columns, RowFormat } from '../../data/dataset/roles.ts';
