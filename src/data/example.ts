// One dataset row as token ids and labels: rendering, the trained spans of a conversation, truncation.
import type { Message } from './chat-template.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Labels with this value carry no loss. */
export const IGNORE = -100;

/** A row ready for training and evaluation; `labels` are aligned with `ids` as in Hugging Face: logits at t predict labels[t + 1]. */
export interface Example {
  ids: Int32Array<ArrayBuffer>;
  labels: Int32Array<ArrayBuffer>;
  /** What to generate the answer from, not truncated. */
  promptIds: Int32Array<ArrayBuffer>;
  /** The last answer as text; null for pre-tokenised rows and plain text. */
  answer: string | null;
  /** The last answer's trained ids, its end-of-turn token included, not truncated; empty for plain text. */
  answerIds: Int32Array<ArrayBuffer>;
  file: string;
  /** 1-based line of the row (JSON: number of the row; plain text: number of the piece). */
  line: number;
  truncated: boolean;
}

/** A row before truncation. */
export interface Rendered {
  ids: number[];
  labels: number[];
  promptIds: number[];
  answer: string | null;
  answerIds: number[];
}

/** A reason why a row cannot be used; shown to people. */
export class BadRowError extends Error {}

const commonPrefix = (a: readonly number[], b: readonly number[]): number => {
  let n = 0;
  while (n < a.length && n < b.length && a[n] === b[n]) n++;
  return n;
};

/**
 * A conversation with the model's chat template. The ids are those of the whole rendered text. The trained span of each assistant
 * turn starts at the common prefix of ids(text before it, generation prompt included) and ids(text with it), and ends with its
 * end-of-turn token. Where a template renders a turn differently once others follow, the span is looked up in the whole text.
 */
export function renderChat(messages: readonly Message[], tokenizer: Tokenizer): Rendered {
  const template = tokenizer.template;
  if (!template) throw new BadRowError('"messages" need a chat template, and the model has none (or data.template is "none")');
  const render = (count: number, prompt: boolean) => {
    try {
      return tokenizer.encode(template(messages.slice(0, count), prompt));
    } catch (e) {
      throw new BadRowError(`the chat template refuses it: ${(e as Error).message}`);
    }
  };
  const ids = render(messages.length, false);
  const labels = ids.map(() => IGNORE);
  const isEnd = (id: number) => tokenizer.endOfTurnIds.includes(id);
  let last = { promptIds: [] as number[], answer: '', answerIds: [] as number[] };
  for (const [i, message] of messages.entries()) {
    if (message.role !== 'assistant') continue;
    const before = render(i, true);
    const upTo = i === messages.length - 1 ? ids : render(i + 1, false);
    let start = commonPrefix(before, upTo);
    const lastEnd = upTo.findLastIndex((id, t) => t >= start && isEnd(id));
    let end = lastEnd < 0 ? upTo.length : lastEnd + 1;
    if (commonPrefix(upTo, ids) < end) {
      start = commonPrefix(before, ids);
      const firstEnd = ids.findIndex((id, t) => t >= start && isEnd(id));
      if (firstEnd < 0) throw new BadRowError(`message ${i + 1}: the chat template marks no end of this turn`);
      end = firstEnd + 1;
    }
    for (let t = start; t < end; t++) labels[t] = ids[t];
    last = { promptIds: before, answer: message.content, answerIds: ids.slice(start, end) };
  }
  return { ids, labels, ...last };
}

/** Prompt and completion one after the other, for models without a chat template: the completion and the end-of-sequence token are trained. */
export function renderPlain(prompt: string, completion: string, tokenizer: Tokenizer): Rendered {
  const ids = tokenizer.encodeStart(prompt + completion);
  if (tokenizer.eosId !== null) ids.push(tokenizer.eosId);
  const promptIds = tokenizer.encodeStart(prompt);
  const start = commonPrefix(promptIds, ids);
  const labels = ids.map((id, t) => (t < start ? IGNORE : id));
  return { ids, labels, promptIds, answer: completion, answerIds: ids.slice(start) };
}

/** Given ids and labels; the answer is the last run of trained labels. */
export function renderTokens(ids: number[], labels: number[]): Rendered {
  const trained = (t: number) => t >= 1 && labels[t] !== IGNORE;
  let end = labels.length;
  while (end > 0 && !trained(end - 1)) end--;
  let start = end;
  while (start > 0 && trained(start - 1)) start--;
  return { ids, labels, promptIds: ids.slice(0, start), answer: null, answerIds: labels.slice(start, end) };
}

/** Checks ids, applies `completionOnly` (to text rows) and `maxLength`. Throws BadRowError when no trained token is left. */
export function finish(
  rendered: Rendered,
  where: { file: string; line: number },
  limits: { maxLength: number; vocab: number; trainAll: boolean },
): Example {
  const { maxLength, vocab, trainAll } = limits;
  const outside = rendered.ids.findIndex((id) => id >= vocab);
  if (outside >= 0)
    throw new BadRowError(`token id ${rendered.ids[outside]} at position ${outside} is outside the vocabulary (0 to ${vocab - 1})`);
  const wrong = rendered.labels.findIndex((label) => label >= vocab);
  if (wrong >= 0)
    throw new BadRowError(`label ${rendered.labels[wrong]} at position ${wrong} is outside the vocabulary (0 to ${vocab - 1})`);
  const labels = trainAll ? [IGNORE, ...rendered.ids.slice(1)] : rendered.labels;
  const first = labels.findIndex((label, t) => t >= 1 && label !== IGNORE);
  if (first < 0) throw new BadRowError('no token carries loss');
  if (first >= maxLength) throw new BadRowError(`its first trained token is number ${first + 1}, beyond data.maxLength ${maxLength}`);
  const typed = (list: number[]) => Int32Array.from(list);
  return {
    ids: typed(rendered.ids.slice(0, maxLength)),
    labels: typed(labels.slice(0, maxLength)),
    promptIds: typed(rendered.promptIds),
    answer: rendered.answer,
    answerIds: typed(rendered.answerIds),
    ...where,
    truncated: rendered.ids.length > maxLength,
  };
}

/** How many tokens of these labels carry loss. */
export function trainedCount(labels: ArrayLike<number>): number {
  let n = 0;
  for (let t = 1; t < labels.length; t++) if (labels[t] !== IGNORE) n++;
  return n;
}
