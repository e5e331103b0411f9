// Rows of JSON: one object a line, or the elements of a list, as they come.
import { InputError } from '../../util/error.ts';
import { BadRowError } from './example.ts';
import { longestRow, type Row } from './row.ts';

/**
 * One row a line; lines of spaces are left out.
 * @throws InputError for a line of more than 64 Mi characters
 */
export async function* jsonLines(
  chunks: AsyncIterable<string>,
  name: string,
): AsyncGenerator<Row[]> {
  let rest = '';
  let line = 1;
  const row = (raw: string): Row[] => {
    const at = line++;
    return raw.trim() === '' ? [] : [{ line: at, raw, value: () => parseRow(raw) }];
  };
  for await (const chunk of chunks) {
    rest += chunk;
    if (rest.length > longestRow) throw tooLong(name, line);
    if (!chunk.includes('\n')) continue;
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    yield lines.flatMap(row);
  }
  yield row(rest);
}

function parseRow(raw: string): unknown {
  try {
    return JSON.parse(raw);
  } catch (e) {
    throw new BadRowError('not-json', `not valid JSON (${(e as Error).message})`);
  }
}

const tooLong = (name: string, line: number) =>
  new InputError(
    'bad-data',
    `${name}: row ${line} has more than ${longestRow / 2 ** 20} Mi characters.`,
  );

/**
 * The elements of a list; a row's line is its number.
 * @throws InputError where the file is not one list of JSON values
 */
export async function* jsonList(
  chunks: AsyncIterable<string>,
  name: string,
): AsyncGenerator<Row[]> {
  const scanner = new ListScanner();
  let line = 1;
  const bad = (what: string) => new InputError('bad-data', `${name}: not valid JSON (${what}).`);
  const parse = (text: string): unknown => {
    try {
      return JSON.parse(text);
    } catch (e) {
      throw bad(`row ${line}: ${(e as Error).message}`);
    }
  };
  for await (const chunk of chunks) {
    const found = scanner.push(chunk);
    if (found === null)
      throw scanner.started
        ? bad('there is text after the list')
        : new InputError('bad-data', `${name}: expected a list of rows.`);
    if (scanner.held > longestRow) throw tooLong(name, line);
    yield found.map((raw) => {
      const value = parse(raw);
      return { line: line++, raw, value: () => value };
    });
  }
  if (!scanner.done) throw bad('the list does not end');
}

/**
 * Cuts a list into the texts of its elements: finds the commas that lie in no string and no
 * bracket.
 */
class ListScanner {
  #depth = 0;
  #inString = false;
  #escaped = false;
  #current = '';
  #elements = 0;
  started = false;
  done = false;

  /** Characters of the element that has not ended yet. */
  get held(): number {
    return this.#current.length;
  }

  /** The elements that end in this text; null where the text cannot belong to a list. */
  push(text: string): string[] | null {
    const found: string[] = [];
    let start = 0;
    const take = (end: number) => {
      const element = (this.#current + text.slice(start, end)).trim();
      this.#current = '';
      start = end + 1;
      return element;
    };
    for (let i = 0; i < text.length; i++) {
      const c = text[i];
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (c === '\\') this.#escaped = true;
        else if (c === '"') this.#inString = false;
      } else if (!this.started) {
        if (c === '[') {
          this.started = true;
          start = i + 1;
        } else if (c.trim() !== '') return null;
      } else if (this.done) {
        if (c.trim() !== '') return null;
      } else if (c === '"') this.#inString = true;
      else if (c === '{' || c === '[') this.#depth++;
      else if (c === '}' || (c === ']' && this.#depth > 0)) this.#depth--;
      else if (this.#depth <= 0 && (c === ',' || c === ']')) {
        const element = take(i);
        this.done = c === ']';
        if (element !== '' || !this.done || this.#elements > 0) found.push(element);
        this.#elements++;
      }
    }
    if (this.started && !this.done) this.#current += text.slice(start);
    return found;
  }
}
