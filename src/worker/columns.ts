// Tables whose columns can't be told by name: their headers, so that a person can choose.
import Papa from 'papaparse';
import type { ByteSource } from '../data/source.ts';
import type { ColumnsWanted } from './api.ts';

const known = ['prompt', 'completion', 'messages', 'input_ids'];

/** The headers of the first file that has two or more columns, none of which is one that the readers know; null when there is none. */
export async function unknownColumns(sources: readonly ByteSource[]): Promise<ColumnsWanted | null> {
  for (const source of sources) {
    const text = new TextDecoder().decode(await source.read(0, Math.min(source.size, 1 << 16)));
    if (text.includes('\0')) continue; // binary: the reader says so
    const columns = /\.[ct]sv$/i.test(source.name) ? header(text) : /\.(jsonl|ndjson)$/i.test(source.name) ? keys(text) : [];
    if (
      columns.length >= 2 &&
      !(columns.includes('prompt') && columns.includes('completion')) &&
      !columns.some((c) => known.slice(2).includes(c))
    )
      return { file: source.name, columns };
  }
  return null;
}

function header(text: string): string[] {
  const line = text.replace(/^\ufeff/, '').replace(/\r\n?/g, '\n');
  const split = (delimiter: string) =>
    (Papa.parse<string[]>(line, { delimiter, newline: '\n', preview: 1 }).data[0] ?? [])
      .map((name) => name.trim())
      .filter((name) => name !== '');
  const trimmed = [',', ';', '\t', '|'].map(split).reduce((most, names) => (names.length > most.length ? names : most));
  return [...new Set(trimmed)];
}

/** The keys of the first row that hold text. */
function keys(text: string): string[] {
  const line =
    text
      .replace(/^\ufeff/, '')
      .split('\n')
      .find((l) => l.trim() !== '') ?? '';
  try {
    const row: unknown = JSON.parse(line);
    if (typeof row !== 'object' || row === null || Array.isArray(row)) return [];
    if (Object.keys(row).some((key) => known.includes(key))) return [];
    return Object.entries(row).flatMap(([key, value]) => (typeof value === 'string' ? [key] : []));
  } catch {
    return []; // not JSON: the reader says so
  }
}
