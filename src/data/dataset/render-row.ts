// The contents of a row as tokens: turns, a question with its choices, and documents cut into
// pieces.
import type { ChatTemplate, Message } from '../text/chat-template.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { BadRowError, type Rendered, renderChat, renderPlain, type Turns } from './example.ts';
import type { RowContent } from './row-content.ts';

/**
 * The tokens of a row that is a prompt with its answer, a conversation, or a question with choices.
 */
export function renderRow(
  content: Extract<RowContent, { kind: 'pair' | 'messages' | 'choices' }>,
  tokenizer: Tokenizer,
  turns: Turns,
): Rendered {
  if (content.kind === 'messages') return renderChat(content.messages, tokenizer, turns);
  if (content.kind === 'pair')
    return answer(content.prompt, content.completion, content.system, tokenizer);
  const options = content.choices.map((choice) =>
    answer(content.prompt, choice, content.system, tokenizer),
  );
  return { ...options[content.correct], choices: { options, correct: content.correct } };
}

function answer(
  prompt: string,
  completion: string,
  system: string | null,
  tokenizer: Tokenizer,
): Rendered {
  if (!tokenizer.template)
    return renderPlain(system === null ? prompt : `${system}\n\n${prompt}`, completion, tokenizer);
  const messages: Message[] = [
    { role: 'user', content: prompt },
    { role: 'assistant', content: completion },
  ];
  return renderChat(
    system === null ? messages : [{ role: 'system', content: system }, ...messages],
    tokenizer,
  );
}

/**
 * Why a system prompt would not be there, as it is, in what a template makes of a conversation;
 * null: it would.
 */
export function systemProblem(system: string, template: ChatTemplate | null): string | null {
  if (!template)
    return 'it needs a chat template, and the model has none (or data.template is "none")';
  try {
    const text = template(
      [
        { role: 'system', content: system },
        { role: 'user', content: 'a' },
      ],
      true,
    );
    return text.includes(system.trim()) ? null : "the model's chat template leaves it out";
  } catch (e) {
    return `the model's chat template rejects a system message (${(e as Error).message})`;
  }
}

/** Characters of a document that are tokenised at a time. */
const blockLength = 1 << 18;

/**
 * A document as it comes, in pieces of `maxLength` tokens. Long ones are tokenised in blocks that
 * end with a line, which leaves the ids as they would be in one go, but for tokenizers that put a
 * space before a text: they put one before each block. A last piece of one token is left out.
 */
export class DocumentEncoder {
  #text = '';
  #ids: number[] = [];
  #isFirst = true;

  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly maxLength: number,
  ) {}

  /**
   * A document of its own with the end-of-sequence token after it.
   * @throws BadRowError where it is shorter than two tokens
   */
  whole(text: string): Rendered[] {
    const { eosId } = this.tokenizer;
    const ids = this.tokenizer.encodeDocument(text);
    if (eosId !== null && ids.at(-1) !== eosId) ids.push(eosId);
    if (ids.length < 2) throw new BadRowError('too-short', 'the text is too short to learn from');
    this.#ids = ids;
    return this.#pieces(true);
  }

  /** The pieces that are complete with this text. */
  push(text: string): Rendered[] {
    this.#text += text;
    while (this.#text.length > blockLength) {
      const at = blockEnd(this.#text);
      if (at < 0) break;
      this.#encode(this.#text.slice(0, at), false);
      this.#text = this.#text.slice(at);
    }
    return this.#pieces(false);
  }

  /** The pieces that are left. */
  end(): Rendered[] {
    this.#encode(this.#text, true);
    return this.#pieces(true);
  }

  #encode(text: string, isLast: boolean): void {
    const { tokenizer } = this;
    const encode = !this.#isFirst
      ? tokenizer.encode
      : isLast
        ? tokenizer.encodeDocument
        : tokenizer.encodeStart;
    this.#isFirst = false;
    for (const id of encode(text)) this.#ids.push(id);
  }

  #pieces(isLast: boolean): Rendered[] {
    const pieces: Rendered[] = [];
    let start = 0;
    for (
      ;
      start + this.maxLength <= this.#ids.length || (isLast && start + 1 < this.#ids.length);
      start += this.maxLength
    ) {
      const ids = this.#ids.slice(start, start + this.maxLength);
      pieces.push({ ids, labels: ids, promptIds: [], answer: null, answerIds: [] });
    }
    this.#ids = this.#ids.slice(start);
    return pieces;
  }
}

/**
 * A place after `blockLength` where a line ends and the next begins with no space; failing that,
 * far on, any place between characters.
 */
function blockEnd(text: string): number {
  const line = /\n(?=\S)/g;
  line.lastIndex = blockLength - 1;
  const found = line.exec(text);
  if (found) return found.index + 1;
  if (text.length < 4 * blockLength) return -1;
  const code = text.charCodeAt(2 * blockLength);
  return 2 * blockLength + (code >= 0xdc00 && code < 0xe000 ? 1 : 0);
}
