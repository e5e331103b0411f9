// Tokenizer and chat templates against transformers (src/testing/golden/tokenizer, made by
// scripts/golden/tokenizer.py), and broken files.
import { describe, expect, test } from 'vitest';
import { goldenText, tokenizerFolder } from '../../testing/text-fixture.ts';
import { InputError } from '../../util/error.ts';
import { loadTokenizer } from './tokenizer.ts';

describe('text, as transformers has it', () => {
  test.each(goldenText.plain)('$text', async ({ text, ids, document, decoded, skipped }) => {
    const tokenizer = await loadTokenizer(tokenizerFolder(null));
    expect(tokenizer.encode(text)).toEqual(ids);
    expect(tokenizer.encodeDocument(text)).toEqual(document);
    expect(tokenizer.encodeStart(text)).toEqual(document);
    expect(tokenizer.decode(document)).toBe(decoded);
    expect(tokenizer.decode(Int32Array.from(document), { skipSpecial: true })).toBe(skipped);
  });

  test('what a tokenizer says of itself', async () => {
    const tokenizer = await loadTokenizer(tokenizerFolder(null));
    expect(tokenizer.vocabSize).toBe(342);
    expect(tokenizer.template).toBeNull();
    expect(tokenizer.eosId).toBe(1);
    expect(tokenizer.endOfTurnIds).toEqual([1]);
    expect(tokenizer.decode([])).toBe('');
    expect(tokenizer.decode([99999])).toBe('');
    const [space, cat] = [
      tokenizer.tokenText(tokenizer.encode(' a')[0]),
      tokenizer.tokenText(tokenizer.encode('☂')[0]),
    ];
    expect(space).toBe(' a');
    expect(cat).toBe('â');
    expect(tokenizer.tokenText(2)).toBe('<|im_start|>');
    expect(tokenizer.tokenText(99999)).toBe('<99999>');
  });
});

describe.each(Object.entries(goldenText.templates))('template %s', (name, { template, chats }) => {
  test.each(chats)('chat %#', async ({ messages, error, text, ids, promptText, promptIds }) => {
    const tokenizer = await loadTokenizer(tokenizerFolder(template));
    const render = tokenizer.template!;
    if (error !== undefined) {
      expect(() => render(messages, false)).toThrow(error);
      return;
    }
    expect(render(messages, false)).toBe(text);
    expect(tokenizer.encode(render(messages, false))).toEqual(ids);
    expect(render(messages.slice(0, -1), true)).toBe(promptText);
    expect(tokenizer.encode(promptText)).toEqual(promptIds);
  });

  test('end of turn', async () => {
    const tokenizer = await loadTokenizer(tokenizerFolder(template));
    expect(tokenizer.endOfTurnIds).toEqual(name === 'strict' ? [1] : [3, 1]);
  });
});

describe('where the template lies', () => {
  const text = (t: unknown) =>
    JSON.stringify({ eos_token: { content: '<|end|>' }, chat_template: t });
  const load = async (jinja: string | null, files: Record<string, string | null>) =>
    (await loadTokenizer(tokenizerFolder(jinja, files))).template?.([], false);
  test('chat_template.jinja, then tokenizer_config.json, then chat_template.json', async () => {
    const files = {
      'tokenizer_config.json': text('two{{ eos_token }}'),
      'chat_template.json': text('three'),
    };
    expect(await load('one', files)).toBe('one');
    expect(await load(null, files)).toBe('two<|end|>');
    expect(await load(null, { ...files, 'tokenizer_config.json': text(null) })).toBe('three');
    expect(
      await load(null, { 'tokenizer_config.json': null, 'chat_template.json': null }),
    ).toBeUndefined();
  });
  test('a list of named templates: "default"', async () => {
    const list = [
      { name: 'tool_use', template: 'tool' },
      { name: 'default', template: 'plain' },
    ];
    expect(await load(null, { 'tokenizer_config.json': text(list) })).toBe('plain');
  });
  test('the date is there for templates that ask for it', async () => {
    expect(await load("{{ strftime_now('%Y') }}", {})).toMatch(/^20\d\d$/);
  });
});

describe('broken files', () => {
  const cases: [string, Record<string, string | null>, string, string][] = [
    ['none', { 'tokenizer.json': null }, 'missing-file', 'there is no tokenizer.json'],
    ['empty', { 'tokenizer.json': '' }, 'bad-tokenizer', 'tokenizer.json: the file is empty'],
    [
      'cut off',
      { 'tokenizer.json': '{"model": {' },
      'bad-tokenizer',
      'tokenizer.json: not valid JSON',
    ],
    ['a list', { 'tokenizer.json': '[]' }, 'bad-tokenizer', 'expected a JSON object'],
    [
      'no model',
      { 'tokenizer.json': '{}' },
      'bad-tokenizer',
      'tokenizer.json: this tokenizer cannot be used',
    ],
    [
      'unknown model',
      {
        'tokenizer.json':
          '{"model":{"type":"Magic"},"added_tokens":[],"decoder":null,"post_processor":null,"pre_tokenizer":null,"normalizer":null}',
      },
      'bad-tokenizer',
      'tokenizer.json: this tokenizer cannot be used',
    ],
    [
      'no added tokens',
      {
        'tokenizer.json':
          '{"model":{"type":"BPE","vocab":{},"merges":[]},"decoder":null,"post_processor":null,"pre_tokenizer":null,"normalizer":null}',
      },
      'bad-tokenizer',
      'cannot be used',
    ],
    ['binary', { 'tokenizer.json': '\0\0' }, 'bad-tokenizer', 'binary'],
    [
      'broken config',
      { 'tokenizer_config.json': '{' },
      'bad-tokenizer',
      'tokenizer_config.json: not valid JSON',
    ],
    [
      'broken template',
      { 'chat_template.jinja': '{% if %}' },
      'bad-tokenizer',
      'chat_template.jinja: the chat template cannot be read',
    ],
  ];
  test.each(cases)('%s', async (_name, files, code, message) => {
    const error = await loadTokenizer(tokenizerFolder(null, files)).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(InputError);
    expect((error as InputError).code).toBe(code);
    expect((error as Error).message).toContain(message);
  });
});
