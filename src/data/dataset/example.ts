// One dataset row as token ids and labels: rendering, the trained spans of a conversation,
// truncation.
import type { Message } from '../text/chat-template.ts';
import type { Tokenizer } from '../text/tokenizer.ts';

/** Labels with this value carry no loss. */
export const IGNORE = -100;

/**
 * A row ready for training and evaluation; `labels` are aligned with `ids` as in Hugging Face:
 * logits at t predict labels[t + 1].
 */
export interface Example {
  ids: Int32Array<ArrayBuffer>;
  labels: Int32Array<ArrayBuffer>;
  /** What to generate the answer from, not truncated. */
  promptIds: Int32Array<ArrayBuffer>;
  /** The last answer as text; null for pre-tokenised rows and plain text. */
  answer: string | null;
  /**
   * The last answer's trained ids, its end-of-turn token included, not truncated; empty for plain
   * text.
   */
  answerIds: Int32Array<ArrayBuffer>;
  file: string;
  /** 1-based line of the row (JSON: number of the row; plain text: number of the piece). */
  line: number;
  truncated: boolean;
  /** Only for questions with choices. */
  choices?: Choices;
}

/** The choices of a question, for evaluation by their likelihood. */
export interface Choices {
  /**
   * Each choice as the answer to the question: whole ids, and labels that mark the answer with its
   * end-of-turn token. Not truncated.
   */
  options: readonly Pick<Example, 'ids' | 'labels'>[];
  /** The right one's place among them. */
  correct: number;
}

/** A row before truncation. */
export interface Rendered {
  ids: number[];
  labels: number[];
  promptIds: number[];
  answer: string | null;
  answerIds: number[];
  /** What the ids are of; nothing where they were not made from one text. */
  text?: string;
  /** Of a question with choices: each as an answer, and the place of the right one. */
  choices?: { options: Rendered[]; correct: number };
}

/**
 * Why a row cannot be used, for programs: `format` for a row of no known format, `field` for one
 * that is missing or of the wrong type, `too-long` for an answer beyond maxLength.
 */
export type BadRowKind =
  | 'not-json'
  | 'table'
  | 'format'
  | 'field'
  | 'empty'
  | 'messages'
  | 'choices'
  | 'tokens'
  | 'vocabulary'
  | 'template'
  | 'too-short'
  | 'too-long'
  | 'no-loss'
  | 'other';

/** Why a row cannot be used: a kind for programs, a reason for people. */
export class BadRowError extends Error {
  constructor(
    readonly kind: BadRowKind,
    reason: string,
  ) {
    super(reason);
  }
}

const commonPrefix = (a: ArrayLike<unknown>, b: ArrayLike<unknown>): number => {
  let n = 0;
  while (n < a.length && n < b.length && a[n] === b[n]) n++;
  return n;
};

/** Which assistant turns of a conversation are trained. */
export type Turns = 'all' | 'last';

/**
 * A conversation with the model's chat template. The ids are those of the whole rendered text. The
 * trained span of each assistant turn starts at the common prefix of ids(text before it, generation
 * prompt included) and ids(text with it), so that a token that reaches over the boundary is
 * trained, and ends with its end-of-turn token. Where a template renders a turn differently once
 * others follow, the span is looked up in the whole text. `turns` "last": only the last assistant
 * turn is trained.
 * @throws BadRowError where the template refuses the conversation, or renders what comes before a
 *   turn differently with it
 */
export function renderChat(
  messages: readonly Message[],
  tokenizer: Tokenizer,
  turns: Turns = 'all',
): Rendered {
  const { template } = tokenizer;
  if (!template)
    throw new BadRowError(
      'template',
      '"messages" need a chat template, and the model has none (or data.template is "none")',
    );
  const render = (count: number, prompt: boolean): string => {
    try {
      return template(messages.slice(0, count), prompt);
    } catch (e) {
      throw new BadRowError('template', `the chat template rejects it: ${(e as Error).message}`);
    }
  };
  const whole = render(messages.length, false);
  const ids = tokenizer.encode(whole);
  const labels = ids.map(() => IGNORE);
  const isEnd = (id: number) => tokenizer.endOfTurnIds.includes(id);
  const assistants = [...messages.keys()].filter((i) => messages[i].role === 'assistant');
  let last = { promptIds: [] as number[], answer: '', answerIds: [] as number[] };
  for (const i of turns === 'last' ? assistants.slice(-1) : assistants) {
    const beforeText = render(i, true);
    const before = tokenizer.encode(beforeText);
    const upToText = i === messages.length - 1 ? whole : render(i + 1, false);
    const upTo = upToText === whole ? ids : tokenizer.encode(upToText);
    let start = commonPrefix(before, upTo);
    const lastEnd = upTo.findLastIndex((id, t) => t >= start && isEnd(id));
    let end = lastEnd < 0 ? upTo.length : lastEnd + 1;
    const isAsAlone = commonPrefix(upTo, ids) >= end;
    if (!isAsAlone) {
      start = commonPrefix(before, ids);
      const firstEnd = ids.findIndex((id, t) => t >= start && isEnd(id));
      if (firstEnd < 0)
        throw new BadRowError(
          'template',
          `message ${i + 1}: the chat template does not mark the end of this turn`,
        );
      end = firstEnd + 1;
    }
    const earlier = i === 0 ? 0 : commonPrefix(beforeText, render(i, false));
    if (commonPrefix(beforeText, isAsAlone ? upToText : whole) < earlier)
      throw new BadRowError(
        'template',
        `message ${i + 1}: the chat template changes the text before this turn`,
      );
    for (let t = start; t < end; t++) labels[t] = ids[t];
    last = { promptIds: before, answer: messages[i].content, answerIds: ids.slice(start, end) };
  }
  return { ids, labels, text: whole, ...last };
}

/**
 * Prompt and completion one after the other, for models without a chat template: the completion and
 * the end-of-sequence token are trained.
 */
export function renderPlain(prompt: string, completion: string, tokenizer: Tokenizer): Rendered {
  const ids = tokenizer.encodeStart(prompt + completion);
  if (tokenizer.eosId !== null) ids.push(tokenizer.eosId);
  const promptIds = tokenizer.encodeStart(prompt);
  const start = commonPrefix(promptIds, ids);
  const labels = ids.map((id, t) => (t < start ? IGNORE : id));
  return {
    ids,
    labels,
    promptIds,
    answer: completion,
    answerIds: ids.slice(start),
    text: prompt + completion,
  };
}

/** Given ids and labels; the answer is the last run of trained labels. */
export function renderTokens(ids: number[], labels: number[]): Rendered {
  const trained = (t: number) => t >= 1 && labels[t] !== IGNORE;
  let end = labels.length;
  while (end > 0 && !trained(end - 1)) end--;
  let start = end;
  while (start > 0 && trained(start - 1)) start--;
  return {
    ids,
    labels,
    promptIds: ids.slice(0, start),
    answer: null,
    answerIds: labels.slice(start, end),
  };
}

/**
 * Checks ids, applies `completionOnly` (to text rows) and `maxLength`. Throws BadRowError when no
 * trained token is left.
 */
export function finish(
  rendered: Rendered,
  where: { file: string; line: number },
  limits: { maxLength: number; vocab: number; trainAll: boolean },
): Example {
  const { maxLength, vocab, trainAll } = limits;
  const outside = rendered.ids.findIndex((id) => id >= vocab);
  if (outside >= 0)
    throw new BadRowError(
      'vocabulary',
      `token id ${rendered.ids[outside]} at position ${outside} is outside the vocabulary (0 to ${vocab - 1})`,
    );
  const wrong = rendered.labels.findIndex((label) => label >= vocab);
  if (wrong >= 0)
    throw new BadRowError(
      'vocabulary',
      `label ${rendered.labels[wrong]} at position ${wrong} is outside the vocabulary (0 to ${vocab - 1})`,
    );
  const labels = trainAll ? [IGNORE, ...rendered.ids.slice(1)] : rendered.labels;
  const first = labels.findIndex((label, t) => t >= 1 && label !== IGNORE);
  if (first < 0) throw new BadRowError('no-loss', 'no token carries loss');
  if (first >= maxLength)
    throw new BadRowError(
      'too-long',
      `its first trained token is number ${first + 1}, beyond data.maxLength ${maxLength}`,
    );
  const pack = (options: readonly Rendered[]) =>
    options.map((o) => ({ ids: Int32Array.from(o.ids), labels: Int32Array.from(o.labels) }));
  return {
    ...packed(rendered, labels, maxLength),
    answer: rendered.answer === null ? null : ownCopy(rendered.answer),
    ...where,
    truncated: rendered.ids.length > maxLength,
    ...(rendered.choices && {
      choices: { options: pack(rendered.choices.options), correct: rendered.choices.correct },
    }),
  };
}

/**
 * The token lists of an example as views of one buffer: a prompt or an answer that is part of the
 * ids takes no room of its own.
 */
function packed(
  { ids, promptIds, answerIds }: Rendered,
  labels: readonly number[],
  maxLength: number,
) {
  const length = Math.min(ids.length, maxLength);
  const isPrefix = promptIds.length <= length && commonPrefix(promptIds, ids) === promptIds.length;
  const at = labels.findIndex(
    (_, t) =>
      ids[t] === answerIds[0] && answerIds.every((id, k) => t + k < length && ids[t + k] === id),
  );
  const extra = (isPrefix ? 0 : promptIds.length) + (at >= 0 ? 0 : answerIds.length);
  const all = new Int32Array(2 * length + extra);
  all.set(ids.slice(0, length));
  all.set(labels.slice(0, length), length);
  if (!isPrefix) all.set(promptIds, 2 * length);
  if (at < 0) all.set(answerIds, all.length - answerIds.length);
  return {
    ids: all.subarray(0, length),
    labels: all.subarray(length, 2 * length),
    promptIds: isPrefix
      ? all.subarray(0, promptIds.length)
      : all.subarray(2 * length, 2 * length + promptIds.length),
    answerIds:
      at >= 0
        ? all.subarray(at, at + answerIds.length)
        : all.subarray(all.length - answerIds.length),
  };
}

/** The same text, but no longer a part of a longer one, which it would keep in memory. */
export const ownCopy = (text: string): string => JSON.parse(JSON.stringify(text)) as string;

/** How many tokens of these labels carry loss. */
export function trainedCount(labels: ArrayLike<number>): number {
  let n = 0;
  for (let t = 1; t < labels.length; t++) if (labels[t] !== IGNORE) n++;
  return n;
}
