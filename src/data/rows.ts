// Dataset files as rows: JSONL, JSON arrays, CSV and plain text, each row with its line and, where it can't be used, the reason.
import Papa from 'papaparse';
import { InputError } from '../util/error.ts';
import { parseJson } from '../util/json.ts';
import type { Message } from './chat-template.ts';
import { BadRowError } from './example.ts';

/** What a row holds. */
export type RowContent =
  | { kind: 'pair'; prompt: string; completion: string }
  | { kind: 'messages'; messages: Message[] }
  | { kind: 'tokens'; ids: number[]; labels: number[] };

/** One row as found: its content is worked out by `content()`, which throws BadRowError. */
export interface Row {
  line: number;
  raw: string;
  content(): RowContent;
}

export interface Columns {
  prompt: string;
  completion: string;
}

export type FileKind = 'jsonl' | 'json' | 'csv' | 'text';

const extensions: Readonly<Record<string, FileKind>> = {
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  json: 'json',
  csv: 'csv',
  tsv: 'csv',
  txt: 'text',
  text: 'text',
  md: 'text',
  markdown: 'text',
};

/** What kind of file this is, by its ending, else by its first character. A .json file with one object a line is JSONL. */
export function fileKind(name: string, text: string): FileKind {
  const ending = /\.([a-z]+)$/i.exec(name)?.[1].toLowerCase() ?? '';
  const kind = Object.hasOwn(extensions, ending) ? extensions[ending] : undefined;
  const first = text.trimStart()[0];
  if (kind && !(kind === 'json' && first === '{') && !(kind === 'jsonl' && first === '[')) return kind;
  if (first === '{') return 'jsonl';
  if (first === '[') return 'json';
  throw new InputError('bad-data', `${name}: this kind of file is not known; datasets are .jsonl, .json, .csv, .tsv, .txt or .md.`);
}

/** The rows of a JSONL, JSON or CSV file. InputError where the file as a whole makes no sense. */
export function readRows(name: string, text: string, kind: Exclude<FileKind, 'text'>, columns: Columns | null): Row[] {
  if (kind === 'csv') return csvRows(name, text, columns ?? { prompt: 'prompt', completion: 'completion' });
  if (kind === 'json') return jsonRows(name, text, columns);
  return jsonlRows(text, columns);
}

function jsonlRows(text: string, columns: Columns | null): Row[] {
  const rows: Row[] = [];
  for (const [i, raw] of text.split('\n').entries()) {
    if (raw.trim() === '') continue;
    rows.push({ line: i + 1, raw, content: () => jsonContent(parseRow(raw), columns) });
  }
  return rows;
}

function parseRow(raw: string): unknown {
  try {
    return JSON.parse(raw);
  } catch (e) {
    throw new BadRowError(`not valid JSON (${(e as Error).message})`);
  }
}

function jsonRows(name: string, text: string, columns: Columns | null): Row[] {
  const list = parseJson(text, name, 'bad-data');
  if (!Array.isArray(list)) throw new InputError('bad-data', `${name}: expected a list of rows.`);
  return list.map((value: unknown, i) => ({ line: i + 1, raw: JSON.stringify(value), content: () => jsonContent(value, columns) }));
}

const isRecord = (v: unknown): v is Record<string, unknown> => typeof v === 'object' && v !== null && !Array.isArray(v);
const nameOf = (v: unknown) =>
  v === undefined ? 'missing' : v === null ? 'null' : Array.isArray(v) ? 'a list' : typeof v === 'object' ? 'an object' : `a ${typeof v}`;

function jsonContent(value: unknown, columns: Columns | null): RowContent {
  if (!isRecord(value)) throw new BadRowError(`the row is ${nameOf(value)}, not an object`);
  if (value.input_ids !== undefined) return { kind: 'tokens', ...tokens(value.input_ids, value.labels) };
  if (value.messages !== undefined) return { kind: 'messages', messages: messages(value.messages) };
  const keys = columns ?? { prompt: 'prompt', completion: 'completion' };
  if (value[keys.prompt] === undefined && value[keys.completion] === undefined) {
    throw new BadRowError(`it has neither "${keys.prompt}" and "${keys.completion}", nor "messages", nor "input_ids" and "labels"`);
  }
  const text = (key: string) => {
    const v = value[key];
    if (typeof v !== 'string') throw new BadRowError(`"${key}" is ${nameOf(v)}${v === undefined ? '' : ', not text'}`);
    return v;
  };
  return pair(text(keys.prompt), text(keys.completion), keys);
}

function pair(prompt: string, completion: string, keys: Columns): RowContent {
  if (completion.trim() === '') throw new BadRowError(`"${keys.completion}" is empty`);
  return { kind: 'pair', prompt, completion };
}

function tokens(ids: unknown, labels: unknown): { ids: number[]; labels: number[] } {
  if (!Array.isArray(ids)) throw new BadRowError(`"input_ids" is ${nameOf(ids)}, not a list`);
  if (!Array.isArray(labels)) throw new BadRowError(`"labels" is ${nameOf(labels)}${labels === undefined ? '' : ', not a list'}`);
  if (ids.length !== labels.length) throw new BadRowError(`"labels" has ${labels.length} entries, "input_ids" ${ids.length}`);
  const badId = ids.findIndex((id) => !Number.isSafeInteger(id) || id < 0);
  if (badId >= 0) throw new BadRowError(`"input_ids"[${badId}] is ${JSON.stringify(ids[badId])}, not a token id`);
  const badLabel = labels.findIndex((id) => id !== -100 && (!Number.isSafeInteger(id) || id < 0));
  if (badLabel >= 0) throw new BadRowError(`"labels"[${badLabel}] is ${JSON.stringify(labels[badLabel])}, neither a token id nor -100`);
  return { ids: ids as number[], labels: labels as number[] };
}

function messages(value: unknown): Message[] {
  if (!Array.isArray(value) || value.length === 0) throw new BadRowError('"messages" is not a list with messages in it');
  const list = value.map((m: unknown, i): Message => {
    if (!isRecord(m)) throw new BadRowError(`message ${i + 1} is ${nameOf(m)}, not an object`);
    if (typeof m.role !== 'string') throw new BadRowError(`message ${i + 1}: "role" is ${nameOf(m.role)}`);
    if (typeof m.content !== 'string')
      throw new BadRowError(`message ${i + 1}: "content" is ${nameOf(m.content)}; only text can be handled`);
    return { role: m.role, content: m.content };
  });
  if (!list.some((m) => m.role === 'assistant')) throw new BadRowError('no message has the role "assistant", so there is nothing to learn');
  return list;
}

/** CSV with a header line; the separator is the one among , ; tab | under which the header has the wanted columns. */
function csvRows(name: string, original: string, columns: Columns): Row[] {
  const text = original.replace(/\r\n?/g, '\n');
  const headerOf = (delimiter: string) =>
    (Papa.parse<string[]>(text, { delimiter, newline: '\n', preview: 1 }).data[0] ?? []).map((h) => h.trim());
  const wanted = [columns.prompt, columns.completion];
  const delimiter = [',', ';', '\t', '|'].find((d) => wanted.every((w) => headerOf(d).includes(w)));
  if (delimiter === undefined) {
    const there = headerOf(name.toLowerCase().endsWith('.tsv') ? '\t' : ',').map((h) => JSON.stringify(h));
    throw new InputError(
      'bad-data',
      `${name}: the header needs the columns "${columns.prompt}" and "${columns.completion}"; it has ${there.join(', ').slice(0, 300)}.`,
    );
  }
  const header = headerOf(delimiter);
  for (const w of wanted) {
    if (header.indexOf(w) !== header.lastIndexOf(w)) throw new InputError('bad-data', `${name}: the header has the column "${w}" twice.`);
  }
  const [promptAt, completionAt] = wanted.map((w) => header.indexOf(w));

  const rows: Row[] = [];
  let at = 0;
  let line = 1;
  let isHeader = true;
  Papa.parse<string[]>(text, {
    delimiter,
    newline: '\n',
    step: ({ data: fields, errors, meta }) => {
      const raw = text.slice(at, meta.cursor);
      const row = { line, raw: raw.replace(/\n$/, '') };
      for (const c of raw) if (c === '\n') line++;
      at = meta.cursor;
      if (isHeader || (fields.length === 1 && fields[0].trim() === '')) {
        isHeader = false;
        return;
      }
      const content = () => {
        if (errors.length > 0) throw new BadRowError(`its quotes do not fit (${errors[0].message})`);
        if (fields.length !== header.length) throw new BadRowError(`it has ${fields.length} fields where the header has ${header.length}`);
        return pair(fields[promptAt], fields[completionAt], columns);
      };
      rows.push({ ...row, content });
    },
  });
  return rows;
}
