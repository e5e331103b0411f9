// The columns that files have, so that a person can choose among them.
import Papa from 'papaparse';
import { type DataFile, dataFiles } from '../../data/dataset/archives.ts';
import { parquetColumns } from '../../data/dataset/parquet.ts';
import { formatOf } from '../../data/dataset/row-content.ts';
import type { ByteSource } from '../../data/source.ts';
import type { ColumnsFound } from '../protocol/api.ts';

/**
 * The columns of the first file whose format cannot be told by them, else of the first file that
 * has columns; null where none has. Archives are opened.
 */
export async function columnsIn(
  sources: readonly ByteSource[],
  signal?: AbortSignal,
): Promise<(ColumnsFound & { isKnown: boolean }) | null> {
  let known: (ColumnsFound & { isKnown: boolean }) | null = null;
  for (const source of sources) {
    if (source.size === 0) continue; // the reader says so
    for (const file of await dataFiles(source, { signal })) {
      const columns = await namesIn(file);
      if (columns.length === 0) continue;
      const found = {
        file: file.name,
        columns,
        isKnown: formatOf(new Set(columns), null) !== null,
      };
      if (!found.isKnown) return found;
      known ??= found;
    }
  }
  return known;
}

/** The names of a file's columns; none where the reader has something else to say. */
async function namesIn(file: DataFile): Promise<string[]> {
  const ending = /\.([a-z]+)$/i.exec(file.name)?.[1].toLowerCase() ?? '';
  // broken: the reader says how
  if (ending === 'parquet') return parquetColumns(await file.source()).catch(() => []);
  if (!['csv', 'tsv', 'json', 'jsonl', 'ndjson'].includes(ending)) return [];
  const text = await beginning(file);
  if (text.includes('\0')) return []; // binary
  return ending === 'csv' || ending === 'tsv' ? header(text) : keys(text);
}

/** Up to the first chunk of a file as text. */
async function beginning(file: DataFile): Promise<string> {
  for await (const chunk of file.chunks()) {
    if (chunk.length > 0)
      return new TextDecoder().decode(chunk.subarray(0, 1 << 16)).replace(/^\ufeff/, '');
  }
  return '';
}

function header(text: string): string[] {
  const line = text.replace(/\r\n?/g, '\n');
  const split = (delimiter: string) =>
    (Papa.parse<string[]>(line, { delimiter, newline: '\n', preview: 1 }).data[0] ?? [])
      .map((name) => name.trim())
      .filter((name) => name !== '');
  const trimmed = [',', ';', '\t', '|']
    .map(split)
    .reduce((most, names) => (names.length > most.length ? names : most));
  return [...new Set(trimmed)];
}

/** The keys of the first row. */
function keys(text: string): string[] {
  const row = firstRow(text.trimStart());
  return typeof row !== 'object' || row === null || Array.isArray(row) ? [] : Object.keys(row);
}

/**
 * The first row of JSON lines, or of a list: there the shortest beginning that ends with a brace
 * and can be parsed.
 */
function firstRow(text: string): unknown {
  const isList = text.startsWith('[');
  const start = isList ? text.indexOf('{') : 0;
  const [ending, longest] = isList ? ['}', 1 << 14] : ['\n', 0];
  for (let end = text.indexOf(ending, start); ; end = text.indexOf(ending, end + 1)) {
    try {
      return JSON.parse(text.slice(start, end < 0 ? undefined : end + 1));
    } catch {
      if (end < 0 || end - start > longest) return null; // not JSON, or too long to tell
    }
  }
}
