// A question to a model as token ids.
import { InputError } from '../../util/error.ts';
import { systemProblem } from '../dataset/render-row.ts';
import type { Message } from './chat-template.ts';
import type { Tokenizer } from './tokenizer.ts';

/** How a question is put. */
export interface Asking {
  /** Goes before it; null: nothing does. */
  system: string | null;
  /** As it stands, without the model's chat template. */
  raw: boolean;
}

/**
 * What the answer to one user turn is generated from.
 * @throws InputError where the template refuses it, or a system prompt has no place
 */
export function questionIds(
  prompt: string,
  { system, raw }: Asking,
  tokenizer: Tokenizer,
): number[] {
  const template = raw ? null : tokenizer.template;
  const problem = system === null ? null : systemProblem(system, template);
  if (problem !== null)
    throw new InputError('bad-option', `The system prompt cannot be used: ${problem}.`);
  if (!template) return tokenizer.encodeStart(prompt);
  const messages: Message[] = [{ role: 'user', content: prompt }];
  if (system !== null) messages.unshift({ role: 'system', content: system });
  try {
    return tokenizer.encode(template(messages, true));
  } catch (e) {
    throw new InputError(
      'bad-tokenizer',
      `The chat template rejects the prompt (${(e as Error).message}); turn the template off, or change the prompt.`,
    );
  }
}
