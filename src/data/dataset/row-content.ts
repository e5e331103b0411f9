// What one row of a dataset holds, whatever file it came from: its format by the names in it, and
// its contents checked.
import type { Message } from '../text/chat-template.ts';
import { BadRowError } from './example.ts';
import {
  type Columns,
  columnOf,
  columnsNeeded,
  columnsRead,
  formatOfColumns,
  formatRoles,
  type RowFormat,
} from './roles.ts';

/** What a row holds. */
export type RowContent =
  | { kind: 'pair'; prompt: string; completion: string; system: string | null }
  | { kind: 'choices'; prompt: string; choices: string[]; correct: number; system: string | null }
  | { kind: 'messages'; messages: Message[] }
  | { kind: 'text'; text: string }
  | { kind: 'tokens'; ids: number[]; labels: number[] };

type Fields = Record<string, unknown>;

const letters = [...'ABCDEFGHIJ'];
const questionNames = ['question', 'question_stem'];
const answerNames = ['answer', 'answerKey'];

/**
 * The format of rows with these names; null where there is none that is known, or where a chosen
 * column is missing.
 */
export function formatOf(names: ReadonlySet<string>, columns: Columns | null): RowFormat | null {
  if (columns)
    return columnsNeeded(columns).every((name) => names.has(name))
      ? formatOfColumns(columns)
      : null;
  if (names.has('input_ids')) return 'pre-tokenised';
  if (names.has('messages')) return 'messages';
  if (names.has('conversations')) return 'conversations';
  if (
    questionNames.some((q) => names.has(q)) &&
    (names.has('choices') || (names.has('A') && names.has('B')))
  )
    return 'question–choices–answer';
  if (names.has('prompt') || names.has('completion')) return 'prompt–completion';
  if (names.has('instruction')) return 'alpaca';
  return names.has('text') ? 'text' : null;
}

/** What a table without a known format needs, for errors: its columns in quotes. */
export const wantedNames = (columns: Columns | null): string =>
  (columns ? columnsNeeded(columns) : ['prompt', 'completion'])
    .map((name) => `"${name}"`)
    .join(' and ');

/** All column names that may be read: the chosen ones, or every name known to any format. */
export const formatColumns = (columns: Columns | null): ReadonlySet<string> =>
  new Set(
    columns
      ? columnsRead(columns)
      : [
          ...Object.values(formatRoles).flatMap(Object.keys),
          ...questionNames,
          ...answerNames,
          ...letters,
        ],
  );

const isRecord = (v: unknown): v is Fields =>
  typeof v === 'object' && v !== null && !Array.isArray(v);
const nameOf = (v: unknown) =>
  v === undefined
    ? 'missing'
    : v === null
      ? 'null'
      : Array.isArray(v)
        ? 'a list'
        : typeof v === 'object'
          ? 'an object'
          : `a ${typeof v}`;

/**
 * The checked contents of a row; `system` goes before prompts and conversations that have no system
 * message of their own.
 * @throws BadRowError where it has no known format or is not as its format wants it
 */
export function rowContent(
  value: unknown,
  columns: Columns | null,
  system: string | null = null,
): { format: RowFormat; content: RowContent } {
  if (!isRecord(value))
    throw new BadRowError('format', `the row is ${nameOf(value)}, not an object`);
  const names = new Set(
    Object.keys(value).filter((key) => value[key] !== undefined && value[key] !== null),
  );
  const format = columns
    ? formatOfColumns(columns)
    : (formatOf(names, null) ?? formatOf(new Set(Object.keys(value)), null));
  if (format === null) {
    throw new BadRowError(
      'format',
      'it has neither "prompt" and "completion", nor "messages", "conversations", "instruction" and "output", "question" and "choices", "text", nor "input_ids" and "labels"',
    );
  }
  return { format, content: contentOf(value, format, columns, system) };
}

function contentOf(
  row: Fields,
  format: RowFormat,
  columns: Columns | null,
  defaultSystem: string | null,
): RowContent {
  const name = (role: string) => columnOf(columns, role) ?? '';
  const own = row[name('system')];
  const system = typeof own === 'string' && own.trim() !== '' ? own : defaultSystem;
  switch (format) {
    case 'pre-tokenised':
      return { kind: 'tokens', ...tokens(row, name('input_ids'), name('labels')) };
    case 'messages':
    case 'conversations':
      return { kind: 'messages', messages: conversation(row, name(format), system) };
    case 'question–choices–answer':
      return { ...choiceContent(row, columns), system };
    case 'alpaca': {
      const instruction = text(row, name('instruction'));
      const input =
        row[name('input')] === undefined || row[name('input')] === null
          ? ''
          : text(row, name('input'));
      return pair(
        input.trim() === '' ? instruction : `${instruction}\n\n${input}`,
        row,
        name('output'),
        system,
      );
    }
    case 'text': {
      const document = text(row, name('text'));
      if (document.trim() === '') throw new BadRowError('empty', `"${name('text')}" is empty`);
      return { kind: 'text', text: document };
    }
    default:
      return pair(text(row, name('prompt')), row, name('completion'), system);
  }
}

function text(row: Fields, key: string): string {
  const v = row[key];
  if (typeof v !== 'string')
    throw new BadRowError(
      'field',
      `"${key}" is ${nameOf(v)}${v === undefined ? '' : ', not text'}`,
    );
  return v;
}

function pair(prompt: string, row: Fields, key: string, system: string | null): RowContent {
  const completion = text(row, key);
  if (completion.trim() === '') throw new BadRowError('empty', `"${key}" is empty`);
  return { kind: 'pair', prompt, completion, system };
}

/** A list or object that a cell of a table spells as JSON. */
function parsed(value: unknown): unknown {
  if (typeof value !== 'string' || !/^\s*[[{]/.test(value)) return value;
  try {
    return JSON.parse(value);
  } catch (e) {
    throw new BadRowError('not-json', `the list in it is not valid JSON (${(e as Error).message})`);
  }
}

function tokens(
  row: Fields,
  idsKey: string,
  labelsKey: string,
): { ids: number[]; labels: number[] } {
  const [ids, labels] = [parsed(row[idsKey]), parsed(row[labelsKey])];
  if (!Array.isArray(ids))
    throw new BadRowError('field', `"${idsKey}" is ${nameOf(ids)}, not a list`);
  if (!Array.isArray(labels))
    throw new BadRowError(
      'field',
      `"${labelsKey}" is ${nameOf(labels)}${labels === undefined ? '' : ', not a list'}`,
    );
  if (ids.length !== labels.length)
    throw new BadRowError(
      'tokens',
      `"${labelsKey}" has ${labels.length} entries, "${idsKey}" ${ids.length}`,
    );
  const badId = ids.findIndex((id) => !Number.isSafeInteger(id) || id < 0);
  if (badId >= 0)
    throw new BadRowError(
      'tokens',
      `"${idsKey}"[${badId}] is ${JSON.stringify(ids[badId])}, not a token id`,
    );
  const badLabel = labels.findIndex((id) => id !== -100 && (!Number.isSafeInteger(id) || id < 0));
  if (badLabel >= 0)
    throw new BadRowError(
      'tokens',
      `"${labelsKey}"[${badLabel}] is ${JSON.stringify(labels[badLabel])}, neither a token id nor -100`,
    );
  return { ids: ids as number[], labels: labels as number[] };
}

const sharegptRoles: Readonly<Record<string, string>> = {
  human: 'user',
  gpt: 'assistant',
  chatgpt: 'assistant',
  bot: 'assistant',
};

/** Messages, each `{role, content}` or ShareGPT's `{from, value}`. */
function conversation(row: Fields, key: string, system: string | null): Message[] {
  const value = parsed(row[key]);
  if (!Array.isArray(value) || value.length === 0)
    throw new BadRowError('messages', `"${key}" is not a list of messages, or is empty`);
  const list = value.map((m: unknown, i): Message => {
    if (!isRecord(m) || m.from === undefined || m.role !== undefined)
      return message(m, i, 'role', 'content');
    const { role, content } = message(m, i, 'from', 'value');
    return { role: Object.hasOwn(sharegptRoles, role) ? sharegptRoles[role] : role, content };
  });
  if (!list.some((m) => m.role === 'assistant'))
    throw new BadRowError(
      'messages',
      'no message has the role "assistant", so nothing can be learned',
    );
  return system === null || list.some((m) => m.role === 'system')
    ? list
    : [{ role: 'system', content: system }, ...list];
}

function message(m: unknown, i: number, roleKey: string, contentKey: string): Message {
  if (!isRecord(m))
    throw new BadRowError('messages', `message ${i + 1} is ${nameOf(m)}, not an object`);
  const { [roleKey]: role, [contentKey]: content } = m;
  if (typeof role !== 'string')
    throw new BadRowError('messages', `message ${i + 1}: "${roleKey}" is ${nameOf(role)}`);
  if (typeof content !== 'string')
    throw new BadRowError(
      'messages',
      `message ${i + 1}: "${contentKey}" is ${nameOf(content)}; only text is supported`,
    );
  return { role, content };
}

/** A question with its choices as a lettered list; the completion is the right choice's text. */
function choiceContent(row: Fields, columns: Columns | null) {
  const chosen = columns && 'question' in columns ? columns : null;
  const question = text(
    row,
    chosen?.question ?? questionNames.find((key) => row[key] !== undefined) ?? 'question',
  );
  const { choices, labels } = choicesOf(row, chosen?.choices ?? 'choices', chosen === null);
  const key =
    chosen?.answer ??
    answerNames.find((name) => row[name] !== undefined && row[name] !== null) ??
    'answer';
  const correct = rightChoice(row[key], choices, labels, key);
  const list = choices.map((choice, i) => `${labels[i]}. ${choice}`).join('\n');
  return { kind: 'choices' as const, prompt: `${question}\n\n${list}`, choices, correct };
}

/**
 * A list, `{text: [], label: []}`, or columns of one choice each: those named, or A, B, …. Choices
 * at the end may be missing.
 */
function choicesOf(
  row: Fields,
  key: string | string[],
  orLetters: boolean,
): { choices: string[]; labels: string[] } {
  const value = typeof key === 'string' ? parsed(row[key]) : undefined;
  const columns = typeof key !== 'string' ? key : orLetters && value == null ? letters : [];
  const isThere = (name: string) =>
    row[name] !== undefined && row[name] !== null && row[name] !== '';
  const given = isRecord(value)
    ? parsed(value.text)
    : columns.length > 0
      ? columns.slice(0, columns.findLastIndex(isThere) + 1).map((name) => row[name])
      : value;
  if (!Array.isArray(given))
    throw new BadRowError('choices', `"${key}" is ${nameOf(given)}, not a list`);
  const choices = given.map((choice: unknown, i) => {
    if (typeof choice !== 'string' || choice.trim() === '')
      throw new BadRowError(
        'choices',
        `choice ${i + 1} is ${choice === '' ? 'empty' : nameOf(choice)}, not text`,
      );
    return choice;
  });
  if (choices.length < 2 || choices.length > letters.length) {
    throw new BadRowError(
      'choices',
      `it has ${choices.length} choices; there must be 2 to ${letters.length}`,
    );
  }
  const own = isRecord(value) ? parsed(value.label) : undefined;
  const isOwn =
    Array.isArray(own) &&
    own.length === choices.length &&
    own.every((label) => typeof label === 'string');
  return { choices, labels: isOwn ? (own as string[]) : letters.slice(0, choices.length) };
}

/** The place of the right choice: named by its label, its text, or its number from 0. */
function rightChoice(
  answer: unknown,
  choices: readonly string[],
  labels: readonly string[],
  key: string,
): number {
  if (answer === undefined || answer === null)
    throw new BadRowError('choices', `"${key}" is missing`);
  const given =
    typeof answer === 'bigint'
      ? String(answer)
      : typeof answer === 'string'
        ? answer.trim()
        : answer;
  if (typeof given === 'string') {
    const at = [
      labels.indexOf(given),
      choices.indexOf(answer as string),
      choices.indexOf(given),
      letters.indexOf(given),
    ].find((i) => i >= 0);
    if (at !== undefined && at < choices.length) return at;
  }
  const number = typeof given === 'string' && /^\d+$/.test(given) ? Number(given) : given;
  if (
    typeof number === 'number' &&
    Number.isInteger(number) &&
    number >= 0 &&
    number < choices.length
  )
    return number;
  throw new BadRowError(
    'choices',
    `"${key}" is ${JSON.stringify(given)}, which is not one of the choices (a letter, a text, or a number from 0)`,
  );
}
