// Rows of a table with a header line: fields separated by one of , ; tab | as the header shows.
import Papa from 'papaparse';
import { InputError } from '../../util/error.ts';
import { BadRowError } from './example.ts';
import type { Columns } from './roles.ts';
import { longestRow, type Row } from './row.ts';
import { formatColumns, formatOf, wantedNames } from './row-content.ts';

/**
 * The rows of a table, each an object by the header's names. @throws InputError where the header
 * names no known columns or one of them twice, or where a row has more than 64 Mi characters (a
 * quote that is left open)
 */
export async function* csvRows(
  chunks: AsyncIterable<string>,
  name: string,
  columns: Columns | null,
): AsyncGenerator<Row[]> {
  let table: Table | null = null;
  let held = '';
  let carriage = '';
  let waitFor = 0;
  for await (const chunk of chunks) {
    const text = carriage + chunk;
    carriage = text.endsWith('\r') ? '\r' : '';
    held += text.slice(0, text.length - carriage.length).replace(/\r\n?/g, '\n');
    if (held.length > longestRow) {
      throw new InputError(
        'bad-data',
        `${name}: the row in line ${table?.line ?? 1} is too long: is a quote left open?`,
      );
    }
    if (held.length < waitFor) continue;
    const end = table ? 0 : firstLine(held);
    if (end >= 0) table ??= new Table(held.slice(0, end), name, columns);
    const { rows, used } = table ? table.parse(held, false) : { rows: [], used: 0 };
    held = held.slice(used);
    waitFor = used === 0 ? 2 * held.length : 0; // so that a long row is not parsed over and over
    yield rows;
  }
  held += carriage === '' ? '' : '\n';
  const end = firstLine(held);
  table ??= new Table(end < 0 ? held : held.slice(0, end), name, columns);
  yield table.parse(held, true).rows;
}

/** Where the first line break outside of quotes is, or -1. */
function firstLine(text: string): number {
  let inQuotes = false;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '"') inQuotes = !inQuotes;
    else if (text[i] === '\n' && !inQuotes) return i;
  }
  return -1;
}

/** What the parser hands over for each row. */
interface Step {
  data: string[][];
  errors: Papa.ParseError[];
  meta: { cursor: number };
}

class Table {
  readonly #header: string[];
  readonly #delimiter: string;
  #line = 1;
  #isHeader = true;

  constructor(header: string, name: string, columns: Columns | null) {
    const headerOf = (delimiter: string) =>
      (Papa.parse<string[]>(header, { delimiter, newline: '\n', preview: 1 }).data[0] ?? []).map(
        (h) => h.trim(),
      );
    const delimiters = [',', ';', '\t', '|'];
    const found = delimiters.find((d) => formatOf(new Set(headerOf(d)), columns) !== null);
    if (found === undefined) {
      const [there] = delimiters.map(headerOf).sort((a, b) => b.length - a.length);
      const names = there.map((h) => JSON.stringify(h)).join(', ');
      throw new InputError(
        'bad-data',
        `${name}: the header needs the columns ${wantedNames(columns)}; it has ${names.slice(0, 300)}.`,
      );
    }
    this.#delimiter = found;
    this.#header = headerOf(found);
    const known = formatColumns(columns);
    const twice = this.#header.find((h, i) => known.has(h) && this.#header.indexOf(h) !== i);
    if (twice !== undefined)
      throw new InputError('bad-data', `${name}: the header has the column "${twice}" twice.`);
  }

  /** Where the next row begins. */
  get line(): number {
    return this.#line;
  }

  /**
   * The rows that end in this text (all of them where it is the last), and how many of its
   * characters they take.
   */
  parse(text: string, isLast: boolean): { rows: Row[]; used: number } {
    const rows: Row[] = [];
    let used = 0;
    const step = ({ data: [fields], errors, meta }: Step) => {
      const raw = text.slice(used, meta.cursor);
      const row = { line: this.#line, raw: raw.replace(/\n$/, '') };
      for (let at = raw.indexOf('\n'); at >= 0; at = raw.indexOf('\n', at + 1)) this.#line++;
      used = meta.cursor;
      const isBlank = fields.length === 1 && fields[0].trim() === '';
      if (!this.#isHeader && !isBlank)
        rows.push({ ...row, value: () => this.#value(fields, errors) });
      this.#isHeader = false;
    };
    new Papa.Parser({ delimiter: this.#delimiter, newline: '\n', step: step as never }).parse(
      text,
      0,
      !isLast,
    );
    return { rows, used };
  }

  #value(fields: readonly string[], errors: readonly Papa.ParseError[]): Record<string, unknown> {
    if (errors.length > 0)
      throw new BadRowError('table', `its quotes do not match (${errors[0].message})`);
    if (fields.length !== this.#header.length)
      throw new BadRowError(
        'table',
        `it has ${fields.length} fields, but the header has ${this.#header.length}`,
      );
    return Object.fromEntries(this.#header.map((h, i) => [h, fields[i]]));
  }
}
