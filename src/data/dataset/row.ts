// A row as a reader hands it on.

/** One row as found. `value()` is its contents, and throws BadRowError where they can't be read. */
export interface Row {
  line: number;
  /** As it stands in the file. */
  raw: string;
  value(): unknown;
}

/** Characters that one row may have. */
export const longestRow = 64 * 2 ** 20;
