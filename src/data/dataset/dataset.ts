// What reading dataset files comes to, and how it is asked for.

import type { Tokenizer } from '../text/tokenizer.ts';
import type { BadRowKind, Example, Turns } from './example.ts';
import type { Columns, RowFormat } from './roles.ts';

/** A row that was left out. `raw` is its beginning, as it stands in the file. */
export interface BadRow {
  file: string;
  line: number;
  kind: BadRowKind;
  /** For people; nothing reads it. */
  reason: string;
  raw: string;
}

/** How many rows were left out for a reason of which kind. */
export function leftOut({ bad }: Pick<Dataset, 'bad'>): Partial<Record<BadRowKind, number>> {
  const counts: Partial<Record<BadRowKind, number>> = {};
  for (const { kind } of bad) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

/** A row between the file and its tokens. */
export interface RowPreview {
  file: string;
  line: number;
  /** The beginning of it as it stands in the file; null for a piece of plain text. */
  raw: string | null;
  /** Of a question with choices: them, and the place of the right one. */
  choices: { texts: string[]; correct: number } | null;
  /**
   * The text that is tokenised, of all turns; null for pre-tokenised rows and for pieces of plain
   * text.
   */
  text: string | null;
  /** All tokens, of which the example has the first ones. */
  ids: number[];
  example: Example;
}

/** What was found in a file, or in one inside an archive. */
export interface DataFileReport {
  name: string;
  rows: number;
  badRows: number;
  examples: number;
  tokens: number;
  /** By name; none: plain text. */
  formats: RowFormat[];
}

export interface Dataset {
  /** By file, each file's without a gap. */
  examples: Example[];
  files: DataFileReport[];
  bad: BadRow[];
  /** The first rows that can be used. */
  previews: RowPreview[];
  /** Rows cut to maxLength. */
  truncated: number;
  /** Rows found, good and bad (plain text: pieces). */
  rows: number;
  /** Reading ended at data.limit, with more to read: `rows` are those up to there. */
  limited: boolean;
  /** How many rows have which format. */
  formats: Partial<Record<RowFormat, number>>;
  /** Tokens of all examples, and those of them that carry loss. */
  tokens: number;
  trainedTokens: number;
}

/** How far reading is: of all files, as bytes on disk, and the rows found in them. */
export interface DataProgress {
  bytes: number;
  totalBytes: number;
  rows: number;
}

export interface DatasetOptions {
  /** Null: only pre-tokenised rows can be read. */
  tokenizer: Tokenizer | null;
  vocab: number;
  data: {
    maxLength: number;
    completionOnly: boolean;
    template: 'auto' | 'none';
    turns?: Turns;
    columns?: Columns | null;
    /** Goes before prompts and conversations that have no system message of their own. */
    system?: string | null;
    /** Examples to make: of the first rows that can be used, in the order of the files. */
    limit?: number | null;
    /** Names of files that are read whole and don't count for the limit: those for validation. */
    whole?: readonly string[];
  };
  /** Called after every few rows. */
  onProgress?: (progress: DataProgress) => void;
  /** Stops the reading: what it is aborted with is thrown. */
  signal?: AbortSignal;
}
