// What one row of a dataset holds, whatever file it came from: its format by the names in it, and its contents checked.
import type { Message } from './chat-template.ts';
import { BadRowError } from './example.ts';

/** Names that people choose for prompt and completion. */
export interface Columns {
  prompt: string;
  completion: string;
}

/** The formats that rows are found to have. */
export type RowFormat =
  | 'messages'
  | 'conversations'
  | 'alpaca'
  | 'prompt–completion'
  | 'question–choices–answer'
  | 'text'
  | 'pre-tokenised';

/** What a row holds. */
export type RowContent =
  | { kind: 'pair'; prompt: string; completion: string; system: string | null }
  | { kind: 'choices'; prompt: string; choices: string[]; correct: number }
  | { kind: 'messages'; messages: Message[] }
  | { kind: 'text'; text: string }
  | { kind: 'tokens'; ids: number[]; labels: number[] };

type Fields = Record<string, unknown>;

const letters = [...'ABCDEFGHIJ'];
const questionNames = ['question', 'question_stem'];
const answerNames = ['answer', 'answerKey'];

/** The format of rows with these names; null where there is none that is known. */
export function formatOf(names: ReadonlySet<string>, columns: Columns | null): RowFormat | null {
  if (names.has('input_ids')) return 'pre-tokenised';
  if (names.has('messages')) return 'messages';
  const { prompt, completion } = columns ?? { prompt: 'prompt', completion: 'completion' };
  if (columns) return names.has(prompt) || names.has(completion) ? 'prompt–completion' : null;
  if (names.has('conversations')) return 'conversations';
  if (questionNames.some((q) => names.has(q)) && (names.has('choices') || (names.has('A') && names.has('B'))))
    return 'question–choices–answer';
  if (names.has(prompt) || names.has(completion)) return 'prompt–completion';
  if (names.has('instruction')) return 'alpaca';
  return names.has('text') ? 'text' : null;
}

/** Every name that some format has a use for. */
export const formatColumns = (columns: Columns | null): ReadonlySet<string> =>
  new Set([
    ...['input_ids', 'labels', 'messages', 'conversations', 'instruction', 'input', 'output', 'system', 'text', 'choices'],
    ...(columns ? [columns.prompt, columns.completion] : ['prompt', 'completion']),
    ...[...questionNames, ...answerNames, ...letters],
  ]);

const isRecord = (v: unknown): v is Fields => typeof v === 'object' && v !== null && !Array.isArray(v);
const nameOf = (v: unknown) =>
  v === undefined ? 'missing' : v === null ? 'null' : Array.isArray(v) ? 'a list' : typeof v === 'object' ? 'an object' : `a ${typeof v}`;

/** The checked contents of a row. @throws BadRowError where it has no known format or is not as its format wants it */
export function rowContent(value: unknown, columns: Columns | null): { format: RowFormat; content: RowContent } {
  if (!isRecord(value)) throw new BadRowError(`the row is ${nameOf(value)}, not an object`);
  const names = new Set(Object.keys(value).filter((key) => value[key] !== undefined && value[key] !== null));
  const format = formatOf(names, columns) ?? formatOf(new Set(Object.keys(value)), columns);
  if (format === null) {
    const { prompt, completion } = columns ?? { prompt: 'prompt', completion: 'completion' };
    const others = columns ? '' : ', "conversations", "instruction" and "output", "question" and "choices", "text"';
    throw new BadRowError(`it has neither "${prompt}" and "${completion}", nor "messages"${others}, nor "input_ids" and "labels"`);
  }
  return { format, content: contentOf(value, format, columns) };
}

function contentOf(row: Fields, format: RowFormat, columns: Columns | null): RowContent {
  switch (format) {
    case 'pre-tokenised':
      return { kind: 'tokens', ...tokens(parsed(row.input_ids), parsed(row.labels)) };
    case 'messages':
      return { kind: 'messages', messages: messages(parsed(row.messages)) };
    case 'conversations':
      return { kind: 'messages', messages: conversation(parsed(row.conversations), row.system) };
    case 'question–choices–answer':
      return choiceContent(row);
    case 'alpaca': {
      const input = row.input === undefined || row.input === null ? '' : text(row, 'input');
      const prompt = input.trim() === '' ? text(row, 'instruction') : `${text(row, 'instruction')}\n\n${input}`;
      return pair(prompt, row, 'output');
    }
    case 'text': {
      const document = text(row, 'text');
      if (document.trim() === '') throw new BadRowError('"text" is empty');
      return { kind: 'text', text: document };
    }
    default: {
      const keys = columns ?? { prompt: 'prompt', completion: 'completion' };
      return pair(text(row, keys.prompt), row, keys.completion);
    }
  }
}

function text(row: Fields, key: string): string {
  const v = row[key];
  if (typeof v !== 'string') throw new BadRowError(`"${key}" is ${nameOf(v)}${v === undefined ? '' : ', not text'}`);
  return v;
}

function pair(prompt: string, row: Fields, key: string): RowContent {
  const completion = text(row, key);
  if (completion.trim() === '') throw new BadRowError(`"${key}" is empty`);
  return { kind: 'pair', prompt, completion, system: systemOf(row.system) };
}

const systemOf = (system: unknown) => (typeof system === 'string' && system.trim() !== '' ? system : null);

/** A list or object that a cell of a table spells as JSON. */
function parsed(value: unknown): unknown {
  if (typeof value !== 'string' || !/^\s*[[{]/.test(value)) return value;
  try {
    return JSON.parse(value);
  } catch (e) {
    throw new BadRowError(`the list in it is not valid JSON (${(e as Error).message})`);
  }
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
  const list = value.map((m: unknown, i) => message(m, i, 'role', 'content'));
  return answered(list);
}

function message(m: unknown, i: number, roleKey: string, contentKey: string): Message {
  if (!isRecord(m)) throw new BadRowError(`message ${i + 1} is ${nameOf(m)}, not an object`);
  const { [roleKey]: role, [contentKey]: content } = m;
  if (typeof role !== 'string') throw new BadRowError(`message ${i + 1}: "${roleKey}" is ${nameOf(role)}`);
  if (typeof content !== 'string')
    throw new BadRowError(`message ${i + 1}: "${contentKey}" is ${nameOf(content)}; only text can be handled`);
  return { role, content };
}

function answered(list: Message[]): Message[] {
  if (!list.some((m) => m.role === 'assistant')) throw new BadRowError('no message has the role "assistant", so there is nothing to learn');
  return list;
}

const sharegptRoles: Readonly<Record<string, string>> = { human: 'user', gpt: 'assistant', chatgpt: 'assistant', bot: 'assistant' };

/** ShareGPT's `{from, value}`, or `{role, content}` under that name. */
function conversation(value: unknown, system: unknown): Message[] {
  if (!Array.isArray(value) || value.length === 0) throw new BadRowError('"conversations" is not a list with messages in it');
  const list = value.map((m: unknown, i): Message => {
    if (isRecord(m) && m.from === undefined && m.role !== undefined) return message(m, i, 'role', 'content');
    const { role, content } = message(m, i, 'from', 'value');
    return { role: Object.hasOwn(sharegptRoles, role) ? sharegptRoles[role] : role, content };
  });
  const before = list[0].role === 'system' ? null : systemOf(system);
  return answered(before === null ? list : [{ role: 'system', content: before }, ...list]);
}

/** A question with its choices as a lettered list; the completion is the right choice's text. */
function choiceContent(row: Fields): RowContent {
  const question = text(row, questionNames.find((key) => row[key] !== undefined) ?? 'question');
  const { choices, labels } = choicesOf(row);
  const key = answerNames.find((name) => row[name] !== undefined && row[name] !== null) ?? 'answer';
  const correct = rightChoice(row[key], choices, labels, key);
  const list = choices.map((choice, i) => `${labels[i]}. ${choice}`).join('\n');
  return { kind: 'choices', prompt: `${question}\n\n${list}`, choices, correct };
}

/** A list, `{text: [], label: []}`, or the columns A, B, …. */
function choicesOf(row: Fields): { choices: string[]; labels: string[] } {
  const value = parsed(row.choices);
  const given = isRecord(value)
    ? parsed(value.text)
    : (value ?? letters.filter((l) => row[l] !== undefined && row[l] !== null).map((l) => row[l]));
  if (!Array.isArray(given)) throw new BadRowError(`"choices" is ${nameOf(given)}, not a list`);
  const choices = given.map((choice: unknown, i) => {
    if (typeof choice !== 'string' || choice.trim() === '')
      throw new BadRowError(`choice ${i + 1} is ${choice === '' ? 'empty' : nameOf(choice)}, not text`);
    return choice;
  });
  if (choices.length < 2 || choices.length > letters.length) {
    throw new BadRowError(`it has ${choices.length} choices; there must be 2 to ${letters.length}`);
  }
  const own = isRecord(value) ? parsed(value.label) : undefined;
  const isOwn = Array.isArray(own) && own.length === choices.length && own.every((label) => typeof label === 'string');
  return { choices, labels: isOwn ? (own as string[]) : letters.slice(0, choices.length) };
}

/** The place of the right choice: named by its label, its text, or its number from 0. */
function rightChoice(answer: unknown, choices: readonly string[], labels: readonly string[], key: string): number {
  if (answer === undefined || answer === null) throw new BadRowError(`"${key}" is missing`);
  const given = typeof answer === 'bigint' ? String(answer) : typeof answer === 'string' ? answer.trim() : answer;
  if (typeof given === 'string') {
    const at = [labels.indexOf(given), choices.indexOf(answer as string), choices.indexOf(given), letters.indexOf(given)].find(
      (i) => i >= 0,
    );
    if (at !== undefined && at < choices.length) return at;
  }
  const number = typeof given === 'string' && /^\d+$/.test(given) ? Number(given) : given;
  if (typeof number === 'number' && Number.isInteger(number) && number >= 0 && number < choices.length) return number;
  throw new BadRowError(`"${key}" is ${JSON.stringify(given)}, which is none of the choices (a letter, a text, or a number from 0)`);
}
