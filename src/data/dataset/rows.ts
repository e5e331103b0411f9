// Dataset files as rows: JSONL, JSON lists, tables, Parquet and plain text, told apart by their
// names and beginnings, and read as streams.
import { InputError } from '../../util/error.ts';
import { type ReadControl, textChunks } from '../stream.ts';
import type { DataFile } from './archives.ts';
import { csvRows } from './csv-rows.ts';
import { jsonLines, jsonList } from './json-rows.ts';
import { parquetRows } from './parquet.ts';
import type { Columns } from './roles.ts';
import { longestRow, type Row } from './row.ts';

export type FileKind = 'jsonl' | 'json' | 'csv' | 'parquet' | 'text';

/** What a file holds: rows, or one text in pieces. */
export type FileContent =
  | { kind: 'rows'; batches: AsyncIterable<Row[]> }
  | { kind: 'text'; chunks: AsyncIterable<string> };

const extensions: Readonly<Record<string, FileKind>> = {
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  json: 'json',
  csv: 'csv',
  tsv: 'csv',
  parquet: 'parquet',
  txt: 'text',
  text: 'text',
  md: 'text',
  markdown: 'text',
};

/**
 * What kind of file this is, by its ending, else by its first character. A .json file with one
 * object a line is JSONL.
 */
function fileKind(name: string, beginning: string): FileKind {
  const kind = namedKind(name);
  const first = beginning.trimStart()[0];
  if (kind && !(kind === 'json' && first === '{') && !(kind === 'jsonl' && first === '['))
    return kind;
  if (first === '{') return 'jsonl';
  if (first === '[') return 'json';
  throw new InputError(
    'bad-data',
    `${name}: unknown file type; datasets are .jsonl, .json, .csv, .tsv, .parquet, .txt or .md.`,
  );
}

function namedKind(name: string): FileKind | undefined {
  const ending = /\.([a-z]+)$/i.exec(name)?.[1].toLowerCase() ?? '';
  return Object.hasOwn(extensions, ending) ? extensions[ending] : undefined;
}

/**
 * Opens a dataset file. InputError where the file as a whole makes no sense, here or while it is
 * read.
 */
export async function openRows(
  file: DataFile,
  columns: Columns | null,
  control: ReadControl,
): Promise<FileContent> {
  const { name } = file;
  if (namedKind(name) === 'parquet')
    return { kind: 'rows', batches: parquetRows(await file.source(), columns, control) };
  const { beginning, chunks } = await withBeginning(textChunks(file.chunks(), name));
  if (beginning === null) throw new InputError('bad-data', `${name}: the file is empty.`);
  const kind = fileKind(name, beginning);
  if (kind === 'text') return { kind: 'text', chunks };
  if (kind === 'csv') return { kind: 'rows', batches: csvRows(chunks, name, columns) };
  return {
    kind: 'rows',
    batches: kind === 'json' ? jsonList(chunks, name) : jsonLines(chunks, name),
  };
}

/**
 * The first piece of text that is not only spaces (null when there is none), and all pieces from
 * the start.
 */
async function withBeginning(
  chunks: AsyncGenerator<string>,
): Promise<{ beginning: string | null; chunks: AsyncIterable<string> }> {
  let held = '';
  for (;;) {
    const { value, done } = await chunks.next();
    if (done) return { beginning: null, chunks };
    held += value;
    if (held.trim() !== '') break;
    if (held.length > longestRow) return { beginning: null, chunks };
  }
  async function* all() {
    yield held;
    yield* chunks;
  }
  return { beginning: held, chunks: all() };
}
