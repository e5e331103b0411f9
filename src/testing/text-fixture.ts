// The tiny tokenizer of the goldens as a model folder, with any chat template and any file
// replaced.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytesSource, type Folder, folderOf } from '../data/source.ts';

const dir = join(import.meta.dirname, 'golden/tokenizer');

/** A chat and what transformers makes of it with one template. */
export interface GoldenChat {
  messages: { role: string; content: string }[];
  error?: string;
  text: string;
  ids: number[];
  promptText: string;
  promptIds: number[];
  answerIds: number[];
}

export interface GoldenText {
  plain: { text: string; ids: number[]; document: number[]; decoded: string; skipped: string }[];
  templates: Record<string, { template: string; chats: GoldenChat[] }>;
}

export const goldenText = JSON.parse(readFileSync(join(dir, 'golden.json'), 'utf8')) as GoldenText;

const bytes = (text: string) => new TextEncoder().encode(text);

/** Sources from names and texts. */
export const textSource = (name: string, text: string | Uint8Array<ArrayBuffer>) =>
  bytesSource(typeof text === 'string' ? bytes(text) : text, name);

/**
 * The tokenizer's folder; `template` goes into chat_template.jinja, `files` replace or (null)
 * remove files.
 */
export function tokenizerFolder(
  template: string | null,
  files: Record<string, string | null> = {},
): Folder {
  const all: Record<string, string | null> = {
    'tokenizer.json': readFileSync(join(dir, 'tokenizer.json'), 'utf8'),
    'tokenizer_config.json': readFileSync(join(dir, 'tokenizer_config.json'), 'utf8'),
    'chat_template.jinja': template,
    ...files,
  };
  return folderOf(
    'model',
    Object.entries(all).flatMap(([name, text]) => (text === null ? [] : [textSource(name, text)])),
  );
}
