// A model's chat template: where it lies, and how a conversation becomes text, as transformers'
// apply_chat_template does it.
import { Template } from '@huggingface/jinja';
import { InputError } from '../../util/error.ts';
import { decodeText, parseJsonObject } from '../../util/json.ts';
import { type Folder, readAll } from '../source.ts';
import { pythonFunctions, pythonise } from './jinja-python.ts';

export interface Message {
  role: string;
  content: string;
}

/**
 * Renders a conversation; `generationPrompt` adds what the model sees before its answer. Throws an
 * Error with the template's own words.
 */
export type ChatTemplate = (messages: readonly Message[], generationPrompt: boolean) => string;

/**
 * Finds the chat template of a model folder: chat_template.jinja, else tokenizer_config.json's (a
 * string, or a list with one named "default"), else chat_template.json's; null when there is none.
 * `special` holds bos_token, eos_token and so on, for the template.
 */
export async function loadChatTemplate(
  folder: Folder,
  tokenizerConfig: Record<string, unknown>,
  special: Readonly<Record<string, string>>,
): Promise<ChatTemplate | null> {
  const jinja = folder.open('chat_template.jinja');
  if (jinja)
    return compile(
      decodeText(await readAll(jinja), jinja.name, 'bad-tokenizer'),
      jinja.name,
      special,
    );
  const own = pick(tokenizerConfig.chat_template);
  if (own !== null) return compile(own, 'tokenizer_config.json: chat_template', special);
  const json = folder.open('chat_template.json');
  if (!json) return null;
  const text = pick(
    (await parseJsonObject(await readAll(json), json.name, 'bad-tokenizer')).chat_template,
  );
  return text === null ? null : compile(text, json.name, special);
}

/** The template itself, or the one named "default" of a list. */
function pick(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return null;
  const found = value.find((t: unknown): t is { template: string } => {
    const entry = t as { name?: unknown; template?: unknown } | null;
    return entry?.name === 'default' && typeof entry.template === 'string';
  });
  return found?.template ?? null;
}

function compile(
  text: string,
  where: string,
  special: Readonly<Record<string, string>>,
): ChatTemplate {
  let template: Template;
  try {
    template = pythonise(new Template(text));
  } catch (e) {
    throw new InputError(
      'bad-tokenizer',
      `${where}: the chat template cannot be read (${(e as Error).message}).`,
    );
  }
  return (messages, generationPrompt) =>
    template.render({
      ...pythonFunctions,
      ...special,
      messages: messages.map((m) => ({ ...m })),
      tools: null,
      documents: null,
      add_generation_prompt: generationPrompt,
    });
}
