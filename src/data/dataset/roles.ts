// Which column of a row plays which role in its format.

/**
 * The roles of each format. Without a choice a role is the column of its own name; false: rows may
 * do without it.
 */
export const formatRoles = {
  'prompt–completion': { prompt: true, completion: true, system: false },
  alpaca: { instruction: true, input: false, output: true, system: false },
  messages: { messages: true, system: false },
  conversations: { conversations: true, system: false },
  'question–choices–answer': { question: true, choices: true, answer: true, system: false },
  text: { text: true },
  'pre-tokenised': { input_ids: true, labels: true },
} as const;

/** The formats that rows are found to have. */
export type RowFormat = keyof typeof formatRoles;

type System = { system?: string | null };

/**
 * Columns that people chose, by role, for all rows. `choices`: one column that holds a list, or a
 * column for each choice. An optional role that is left out is the column of its own name, where
 * there is one; null: none.
 */
export type Columns =
  | ({ prompt: string; completion: string } & System)
  | ({ instruction: string; input?: string | null; output: string } & System)
  | ({ messages: string } & System)
  | ({ conversations: string } & System)
  | ({ question: string; choices: string | string[]; answer: string } & System)
  | { text: string }
  | { input_ids: string; labels: string };

const needed = (format: RowFormat): string[] =>
  Object.entries(formatRoles[format]).flatMap(([role, must]) => (must ? [role] : []));

/** The format whose roles these are. */
export const formatOfColumns = (columns: Columns): RowFormat =>
  (Object.keys(formatRoles) as RowFormat[]).find((format) =>
    needed(format).every((role) => role in columns),
  )!;

/** The column of a role; null where there is to be none. Not for `choices`. */
export function columnOf(columns: Columns | null, role: string): string | null {
  const chosen = (columns as Record<string, string | null | undefined> | null)?.[role];
  return chosen === undefined ? role : chosen;
}

/** All columns that are read. */
export const columnsRead = (columns: Columns): string[] => [
  ...Object.values(columns as Record<string, string | string[] | null>).flatMap(
    (chosen) => chosen ?? [],
  ),
  ...Object.keys(formatRoles[formatOfColumns(columns)]).filter((role) => !(role in columns)),
];

/** The columns that every row must have. */
export const columnsNeeded = (columns: Columns): string[] =>
  needed(formatOfColumns(columns)).flatMap(
    (role) => (columns as unknown as Record<string, string | string[]>)[role],
  );
