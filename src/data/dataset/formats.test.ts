// Datasets: every format, the trained span of every turn, every kind of bad row and bad file;
// random damage never crashes.
import fc from 'fast-check';
import { strToU8, zipSync } from 'fflate';
import { describe, expect, test } from 'vitest';
import { goldenText, textSource, tokenizerFolder } from '../../testing/text-fixture.ts';
import { InputError } from '../../util/error.ts';
import { loadTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import type { DatasetOptions } from './dataset.ts';
import type { BadRowKind } from './example.ts';
import { readDataset } from './formats.ts';

const chatml = await loadTokenizer(tokenizerFolder(goldenText.templates.chatml.template));
const bare = await loadTokenizer(tokenizerFolder(null));

type Overrides = Partial<DatasetOptions['data']>;
const options = (tokenizer: Tokenizer | null, data: Overrides = {}): DatasetOptions => ({
  tokenizer,
  vocab: 342,
  data: { maxLength: 256, completionOnly: true, template: 'auto', ...data },
});
const read = (
  name: string,
  text: string | Uint8Array<ArrayBuffer>,
  tokenizer: Tokenizer | null = chatml,
  data: Overrides = {},
) => readDataset([textSource(name, text)], options(tokenizer, data));
const jsonl = (...rows: unknown[]) => rows.map((r) => JSON.stringify(r)).join('\n');
const trained = (e: { ids: Int32Array; labels: Int32Array }) =>
  [...e.labels.keys()].filter((t) => t > 0 && e.labels[t] !== -100);

describe('trained spans', () => {
  describe.each(Object.entries(goldenText.templates))('%s', (_name, { template, chats }) => {
    test.each(chats)(
      'the last answer of chat %#, as in transformers',
      async ({ messages, error, ids, promptIds, answerIds }) => {
        const tokenizer = await loadTokenizer(tokenizerFolder(template));
        const result = read('a.jsonl', jsonl({ messages }), tokenizer);
        if (error !== undefined) {
          await expect(result).rejects.toThrow(`the chat template rejects it: ${error}`);
          return;
        }
        const [e] = (await result).examples;
        expect([...e.ids]).toEqual(ids);
        expect([...e.promptIds]).toEqual(promptIds);
        expect([...e.answerIds]).toEqual(answerIds);
        let start = ids.length - answerIds.length;
        while (ids.slice(start, start + answerIds.length).join() !== answerIds.join()) start--;
        for (let t = start; t < start + answerIds.length; t++) expect(e.labels[t]).toBe(ids[t]);
        for (let t = start + answerIds.length; t < ids.length; t++) expect(e.labels[t]).toBe(-100);
      },
    );
  });

  test('every assistant turn is trained, each with its end-of-turn token, nothing else', async () => {
    for (const name of ['chatml', 'thinking']) {
      const { template, chats } = goldenText.templates[name];
      const tokenizer = await loadTokenizer(tokenizerFolder(template));
      const [e] = (await read('a.jsonl', jsonl({ messages: chats[2].messages }), tokenizer))
        .examples;
      const text = tokenizer.decode(trained(e).map((t) => e.ids[t]));
      expect(text).toBe(
        name === 'chatml'
          ? 'two<|im_end|>four five<|im_end|>'
          : 'two<|im_end|><think>\n\n</think>\n\nfour five<|im_end|>',
      );
      expect(e.answer).toBe('four five');
    }
  });

  test('prompt and completion are one user and one assistant turn', async () => {
    const pair = await read(
      'a.jsonl',
      jsonl({ prompt: 'What is the cat?', completion: 'The answer.' }),
    );
    const [golden] = goldenText.templates.chatml.chats;
    expect([...pair.examples[0].ids]).toEqual(golden.ids);
    expect(pair.examples[0]).toMatchObject({
      answer: 'The answer.',
      file: 'a.jsonl',
      line: 1,
      truncated: false,
    });
    expect(trained(pair.examples[0]).map((t) => golden.ids[t])).toEqual(golden.answerIds);
    expect(pair).toMatchObject({
      rows: 1,
      bad: [],
      truncated: 0,
      tokens: golden.ids.length,
      trainedTokens: golden.answerIds.length,
    });
  });

  test('without a template, or with template "none": prompt + completion, and the end-of-sequence token', async () => {
    for (const result of [
      read('a.jsonl', jsonl({ prompt: 'The cat', completion: ' sat' }), bare),
      read('a.jsonl', jsonl({ prompt: 'The cat', completion: ' sat' }), chatml, {
        template: 'none',
      }),
    ]) {
      const [e] = (await result).examples;
      expect([...e.ids]).toEqual([...bare.encodeDocument('The cat sat'), 1]);
      expect([...e.promptIds]).toEqual(bare.encodeDocument('The cat'));
      expect([...e.answerIds]).toEqual([...bare.encode(' sat'), 1]);
    }
  });

  test('completionOnly false: every token but the first carries loss', async () => {
    const { examples, trainedTokens } = await read(
      'a.jsonl',
      jsonl({ prompt: 'a', completion: 'b' }),
      chatml,
      { completionOnly: false },
    );
    const [e] = examples;
    expect([...e.labels]).toEqual([-100, ...e.ids.slice(1)]);
    expect(trainedTokens).toBe(e.ids.length - 1);
    expect(e.answerIds.length).toBeLessThan(10);
  });
});

describe('pre-tokenised rows', () => {
  test('need no tokenizer; labels stay as they are; the answer is the last trained run', async () => {
    const { examples } = await read(
      'a.jsonl',
      jsonl(
        { input_ids: [5, 6, 7, 8, 9], labels: [5, -100, 7, -100, 9] },
        { input_ids: [1, 2], labels: [-100, 3] },
      ),
      null,
      { completionOnly: false },
    );
    expect([...examples[0].labels]).toEqual([5, -100, 7, -100, 9]);
    expect([...examples[0].promptIds]).toEqual([5, 6, 7, 8]);
    expect([...examples[0].answerIds]).toEqual([9]);
    expect([...examples[1].answerIds]).toEqual([3]);
    expect(examples[1].answer).toBeNull();
  });
  test('maxLength keeps the first tokens, counts, and leaves out rows without a trained token', async () => {
    const row = (first: number) => ({
      input_ids: Array(10).fill(3),
      labels: Array.from({ length: 10 }, (_, t) => (t >= first ? 3 : -100)),
    });
    const dataset = await read(
      'a.jsonl',
      jsonl(row(3), row(4), { input_ids: [1, 1, 1, 1], labels: [1, 1, 1, 1] }),
      null,
      { maxLength: 4 },
    );
    expect(dataset).toMatchObject({ rows: 3, truncated: 1, tokens: 8, trainedTokens: 4 });
    expect(dataset.examples[0]).toMatchObject({ truncated: true, line: 1 });
    expect(dataset.examples[0].ids.length).toBe(4);
    expect(dataset.examples[0].answerIds.length).toBe(7);
    expect(dataset.bad).toEqual([
      expect.objectContaining({
        line: 2,
        kind: 'too-long',
        reason: 'its first trained token is number 5, beyond data.maxLength 4',
      }),
    ]);
  });
});

describe('bad rows are left out and named', () => {
  const ok = { prompt: 'a', completion: 'b' };
  const cases: [name: string, row: unknown, BadRowKind, reason: string][] = [
    ['not JSON', '{"prompt": "a"', 'not-json', 'not valid JSON'],
    ['a number', 3, 'format', 'the row is a number'],
    ['null', null, 'format', 'the row is null'],
    [
      'nothing known',
      { question: 'x' },
      'format',
      'neither "prompt" and "completion", nor "messages"',
    ],
    ['no completion', { prompt: 'x' }, 'field', '"completion" is missing'],
    [
      'completion a number',
      { prompt: 'x', completion: 4 },
      'field',
      '"completion" is a number, not text',
    ],
    ['empty completion', { prompt: 'x', completion: ' \n' }, 'empty', '"completion" is empty'],
    ['empty text', { text: ' ' }, 'empty', '"text" is empty'],
    ['no labels', { input_ids: [1, 2] }, 'field', '"labels" is missing'],
    [
      'labels of another length',
      { input_ids: [1, 2], labels: [1] },
      'tokens',
      '"labels" has 1 entries, "input_ids" 2',
    ],
    [
      'ids outside',
      { input_ids: [1, 342], labels: [1, 2] },
      'vocabulary',
      'token id 342 at position 1 is outside the vocabulary (0 to 341)',
    ],
    [
      'labels outside',
      { input_ids: [1, 2], labels: [1, 342] },
      'vocabulary',
      'label 342 at position 1 is outside the vocabulary',
    ],
    ['negative id', { input_ids: [1, -1], labels: [1, 2] }, 'tokens', '"input_ids"[1] is -1'],
    ['fractional id', { input_ids: [1, 1.5], labels: [1, 2] }, 'tokens', '"input_ids"[1] is 1.5'],
    [
      'negative label',
      { input_ids: [1, 1], labels: [1, -1] },
      'tokens',
      '"labels"[1] is -1, neither a token id nor -100',
    ],
    [
      'nothing trained',
      { input_ids: [1, 1], labels: [1, -100] },
      'no-loss',
      'no token carries loss',
    ],
    ['no ids', { input_ids: [], labels: [] }, 'no-loss', 'no token carries loss'],
    ['messages not a list', { messages: 'hi' }, 'messages', '"messages" is not a list'],
    [
      'no message',
      { messages: [] },
      'messages',
      '"messages" is not a list of messages, or is empty',
    ],
    ['no role', { messages: [{ content: 'x' }] }, 'messages', 'message 1: "role" is missing'],
    [
      'content parts',
      { messages: [{ role: 'user', content: [{ type: 'image' }] }] },
      'messages',
      'message 1: "content" is a list; only text',
    ],
    [
      'nobody answers',
      { messages: [{ role: 'user', content: 'x' }] },
      'messages',
      'no message has the role "assistant"',
    ],
    [
      'an empty choice',
      { question: 'x', choices: ['a', ''], answer: 'A' },
      'choices',
      'choice 2 is empty',
    ],
  ];
  test.each(cases)('%s', async (_name, row, kind, reason) => {
    const raw = typeof row === 'string' ? row : JSON.stringify(row);
    const { bad, examples, rows } = await read(
      'd.jsonl',
      `${JSON.stringify(ok)}\r\n\n${raw}\r\n${JSON.stringify(ok)}\n`,
    );
    expect(bad).toEqual([
      {
        file: 'd.jsonl',
        line: 3,
        kind,
        reason: expect.stringContaining(reason),
        raw: expect.stringContaining(raw),
      },
    ]);
    expect([rows, examples.map((e) => e.line)]).toEqual([3, [1, 4]]);
  });

  test('messages for a model without a template', async () => {
    const row = {
      messages: [
        { role: 'user', content: 'x' },
        { role: 'assistant', content: 'y' },
      ],
    };
    await expect(read('d.jsonl', jsonl(row), bare)).rejects.toThrow('need a chat template');
  });
});

describe('files', () => {
  const bad: [string, string, string | Uint8Array<ArrayBuffer>, string][] = [
    ['empty', 'a.jsonl', '', 'a.jsonl: the file is empty'],
    ['blank', 'a.jsonl', ' \n\n', 'a.jsonl: the file is empty'],
    ['binary', 'a.jsonl', Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0, 1, 2), 'binary file, not UTF-8'],
    [
      'Latin-1',
      'a.jsonl',
      Uint8Array.of(0x61, 10, 10, 0x7b, 0xe9, 0x7d),
      'not UTF-8 text (first error in line 3)',
    ],
    ['UTF-16', 'a.jsonl', Uint8Array.of(0xff, 0xfe, 0x7b, 0, 0x7d, 0), 'binary file, not UTF-8'],
    ['text with NUL', 'a.txt', 'a\0b', 'binary file'],
    ['unknown kind', 'a.xyz', 'hello', 'a.xyz: unknown file type'],
    [
      'no usable row',
      'a.jsonl',
      'x\ny',
      'none of 2 rows can be used; the first: a.jsonl line 1: not valid JSON',
    ],
    ['JSON with a mistake', 'a.json', '[{}', 'a.json: not valid JSON'],
    ['empty list', 'a.json', '[]', 'a.json: there are no rows'],
    [
      'CSV without the columns',
      'a.csv',
      'q,a\n1,2',
      'needs the columns "prompt" and "completion"; it has "q", "a"',
    ],
    [
      'CSV with a column twice',
      'a.csv',
      'prompt,completion,prompt\n1,2,3',
      'the column "prompt" twice',
    ],
    ['CSV with a header only', 'a.csv', 'prompt,completion\n', 'there are no rows'],
    ['a text of nothing', 'a.txt', '\ufeff\n', 'empty'],
  ];
  test.each(bad)('%s', async (_name, file, text, message) => {
    const error = await read(file, text).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).toContain(message);
  });
  test('text rows without a tokenizer; no file at all', async () => {
    await expect(read('a.jsonl', jsonl({ prompt: 'a', completion: 'b' }), null)).rejects.toThrow(
      'the model folder has no tokenizer.json',
    );
    await expect(read('a.txt', 'abc', null)).rejects.toThrow('no tokenizer.json');
    await expect(readDataset([], options(null))).rejects.toThrow('no data file');
  });
  test('a JSON list, JSONL under the name .json, a byte-order mark', async () => {
    const rows = [{ prompt: 'a', completion: 'b' }, { prompt: 'c' }];
    expect(await read('a.json', JSON.stringify(rows, null, 2))).toMatchObject({
      rows: 2,
      bad: [{ line: 2 }],
    });
    expect(await read('a.json', jsonl(...rows))).toMatchObject({ rows: 2, bad: [{ line: 2 }] });
    expect(await read('a.jsonl', `\ufeff${jsonl(...rows)}`)).toMatchObject({
      rows: 2,
      bad: [{ line: 2 }],
    });
  });
  test('several files and progress', async () => {
    const seen: number[] = [];
    const row = jsonl({ prompt: 'a', completion: 'b' });
    const dataset = await readDataset(
      [textSource('a.jsonl', row), textSource('b.jsonl', `${row}\n${row}`)],
      {
        ...options(chatml),
        onProgress: ({ rows }) => seen.push(rows),
      },
    );
    expect(dataset.examples.map((e) => [e.file, e.line])).toEqual([
      ['a.jsonl', 1],
      ['b.jsonl', 1],
      ['b.jsonl', 2],
    ]);
    expect(seen.at(-1)).toBe(3);
  });
});

describe('CSV', () => {
  test('CRLF, byte-order mark, quotes over lines, ragged rows by line, blank lines, mapped columns', async () => {
    const text =
      '\ufeffid,question,answer\r\n1,"a, ""b""\r\nc",yes\r\n2,short\r\n\r\n3,long,er,row\r\n4,d,no\r\n5,e,\r\n';
    const { examples, bad } = await read('a.csv', text, chatml, {
      columns: { prompt: 'question', completion: 'answer' },
    });
    expect(examples.map((e) => [e.line, e.answer])).toEqual([
      [2, 'yes'],
      [7, 'no'],
    ]);
    expect(chatml.decode(examples[0].ids)).toContain('a, "b"\nc<|im_end|>');
    expect(bad.map((b) => [b.line, b.reason, b.raw])).toEqual([
      [4, 'it has 2 fields, but the header has 3', '2,short'],
      [6, 'it has 4 fields, but the header has 3', '3,long,er,row'],
      [8, '"answer" is empty', '5,e,'],
    ]);
  });
  test('semicolons and tabs are found by the header', async () => {
    expect((await read('a.csv', 'prompt;completion\nx, y;z')).examples[0].answer).toBe('z');
    expect((await read('a.tsv', 'completion\tprompt\nz\tx')).examples[0].answer).toBe('z');
  });
  test('an open quote', async () => {
    const { bad, examples } = await read('a.csv', 'prompt,completion\na,b\n"c,d\ne,f\n');
    expect(examples.length).toBe(1);
    expect(bad[0]).toMatchObject({ line: 3, kind: 'table' });
  });
});

describe('chosen columns', () => {
  const first = async (
    row: object,
    columns: DatasetOptions['data']['columns'] = null,
    data: Overrides = {},
  ) => {
    const { examples, formats } = await read('a.jsonl', jsonl(row), chatml, { columns, ...data });
    return {
      ids: [...examples[0].ids],
      labels: [...examples[0].labels],
      formats: Object.keys(formats),
    };
  };
  const chat = [
    { from: 'human', value: 'x' },
    { from: 'gpt', value: 'y' },
  ];
  const cases: [string, object, NonNullable<DatasetOptions['data']['columns']>, object][] = [
    [
      'prompt–completion',
      { q: 'x', a: 'y', s: 'S' },
      { prompt: 'q', completion: 'a', system: 's' },
      { prompt: 'x', completion: 'y', system: 'S' },
    ],
    [
      'alpaca',
      { do: 'x', with: 'z', out: 'y', input: 'no' },
      { instruction: 'do', input: 'with', output: 'out' },
      { instruction: 'x', input: 'z', output: 'y' },
    ],
    [
      'alpaca',
      { do: 'x', out: 'y', input: 'no' },
      { instruction: 'do', input: null, output: 'out' },
      { instruction: 'x', output: 'y' },
    ],
    ['messages', { chat, messages: [] }, { messages: 'chat' }, { conversations: chat }],
    [
      'conversations',
      { chat, s: 'S' },
      { conversations: 'chat', system: 's' },
      { conversations: chat, system: 'S' },
    ],
    [
      'question–choices–answer',
      { q: 'x', options: ['y', 'z'], right: 1, question: 'no' },
      { question: 'q', choices: 'options', answer: 'right' },
      { question: 'x', choices: ['y', 'z'], answer: 1 },
    ],
    [
      'question–choices–answer',
      { q: 'x', one: 'y', two: 'z', three: '', right: 'B' },
      { question: 'q', choices: ['one', 'two', 'three'], answer: 'right' },
      { question: 'x', choices: ['y', 'z'], answer: 1 },
    ],
    ['text', { body: 'x y', prompt: 'no', completion: 'no' }, { text: 'body' }, { text: 'x y' }],
    [
      'pre-tokenised',
      { t: [1, 2, 3], l: [-100, 2, 3] },
      { input_ids: 't', labels: 'l' },
      { input_ids: [1, 2, 3], labels: [-100, 2, 3] },
    ],
  ];
  test.each(cases)(
    '%s: as with the names of its own, whatever else is there',
    async (format, row, columns, as) => {
      const { formats, ...tokens } = await first(row, columns);
      expect(formats).toEqual([format]);
      expect(tokens).toEqual({ ids: (await first(as)).ids, labels: (await first(as)).labels });
    },
  );

  test('that are missing are named, in rows and in the header of a table', async () => {
    await expect(first({ messages: chat }, { messages: 'chat' })).rejects.toThrow(
      'line 1: "chat" is not a list of messages',
    );
    await expect(first({ b: 'x' }, { instruction: 'b', output: 'c' })).rejects.toThrow(
      'line 1: "c" is missing',
    );
    const table = read('a.csv', 'prompt,completion\na,b\n', chatml, {
      columns: { question: 'q', choices: ['a', 'b'], answer: 'c' },
    });
    await expect(table).rejects.toThrow(
      'needs the columns "q" and "a" and "b" and "c"; it has "prompt", "completion"',
    );
  });
});

describe('a system prompt', () => {
  const system = 'Be brief.';
  const text = async (row: object, data: Overrides = { system }, tokenizer = chatml) =>
    tokenizer.decode((await read('a.jsonl', jsonl(row), tokenizer, data)).examples[0].promptIds);
  const user = { role: 'user', content: 'x' };
  const answer = { role: 'assistant', content: 'y' };
  test.each<[string, object]>([
    ['pairs', { prompt: 'x', completion: 'y' }],
    ['conversations', { messages: [user, answer] }],
    ['choices', { question: 'x', choices: ['y', 'z'], answer: 'A' }],
  ])('goes before %s, also where an answer is asked for', async (_, row) => {
    expect(await text(row)).toContain('system\nBe brief.<|im_end|>');
    expect(await text(row, {})).not.toContain('Be brief.');
    const { choices } = (await read('a.jsonl', jsonl(row), chatml, { system })).examples[0];
    for (const { ids } of choices?.options ?? []) expect(chatml.decode(ids)).toContain('Be brief.');
  });
  test('leaves rows with a system message of their own alone', async () => {
    for (const row of [
      { prompt: 'x', completion: 'y', system: 'Own.' },
      { messages: [{ role: 'system', content: 'Own.' }, user, answer] },
    ]) {
      expect(await text(row)).toContain('system\nOwn.<|im_end|>');
      expect(await text(row)).not.toContain('Be brief.');
    }
  });
  test('needs a template that shows it; rows that are not rendered do without', async () => {
    const row = { prompt: 'x', completion: 'y' };
    const none = 'data.system, the system prompt, cannot be used: it needs a chat template';
    await expect(text(row, { system, template: 'none' })).rejects.toThrow(none);
    await expect(text(row, { system }, bare)).rejects.toThrow(none);
    const deaf = { ...chatml, template: () => 'x' };
    await expect(text(row, { system }, deaf)).rejects.toThrow('leaves it out');
    expect((await read('a.jsonl', jsonl({ text: 'x y z' }), bare, { system })).rows).toBe(1);
  });
});

describe('a limit', () => {
  const rows = jsonl(
    { prompt: 'a', completion: 'b' },
    {},
    { prompt: 'c', completion: 'd' },
    { prompt: 'e', completion: 'f' },
  );
  test('takes the first rows that can be used, and reads no further', async () => {
    expect(await read('a.jsonl', rows, chatml, { limit: 2 })).toMatchObject({
      rows: 3,
      limited: true,
      examples: [{ line: 1 }, { line: 3 }],
    });
    expect(await read('a.jsonl', rows, chatml, { limit: 3 })).toMatchObject({
      rows: 4,
      limited: false,
      bad: [{ line: 2 }],
    });
    const text = 'The cat sat on the mat. '.repeat(20);
    expect(await read('a.txt', text, bare, { limit: 2, maxLength: 16 })).toMatchObject({
      limited: true,
      examples: [{ line: 1 }, { line: 2 }],
    });
  });
  test('over several files, of a large one only the beginning', async () => {
    let last = 0;
    const large = textSource('b.jsonl', `${rows}\n`.repeat(100_000));
    const counted = {
      ...large,
      read: (from: number, to: number) => {
        last = to;
        return large.read(from, to);
      },
    };
    const dataset = await readDataset(
      [textSource('a.jsonl', rows), counted],
      options(chatml, { limit: 5 }),
    );
    expect(dataset.examples.map((e) => [e.file, e.line])).toEqual([
      ...[1, 3, 4].map((line) => ['a.jsonl', line]),
      ...[1, 3].map((line) => ['b.jsonl', line]),
    ]);
    expect(dataset.limited).toBe(true);
    expect(last).toBeLessThan(large.size / 2);
  });
  test('does not count files that are to be read whole', async () => {
    const whole = options(chatml, { limit: 1, whole: ['held.jsonl'] });
    const sources = ['held.jsonl', 'a.jsonl', 'b.jsonl'].map((name) => textSource(name, rows));
    for (const order of [sources, sources.toReversed()]) {
      const { examples, limited, files } = await readDataset(order, whole);
      expect(examples.filter((e) => e.file === 'held.jsonl')).toHaveLength(3);
      expect(examples).toHaveLength(4);
      expect(limited).toBe(true);
      expect(files.map(({ name }) => name)).toEqual(
        order === sources ? ['held.jsonl', 'a.jsonl'] : ['b.jsonl', 'held.jsonl'],
      );
    }
    const text = { ...options(bare, { limit: 1, whole: ['held.txt'], maxLength: 16 }) };
    const long = 'The cat sat on the mat. '.repeat(20);
    const { files } = await readDataset(
      [textSource('a.txt', long), textSource('held.txt', long)],
      text,
    );
    expect(files.map(({ examples }) => examples > 1)).toEqual([false, true]);
  });
});

test('what each file holds, those inside an archive each for itself', async () => {
  const one = jsonl(
    { prompt: 'a', completion: 'b' },
    {},
    { question: 'q', choices: ['x', 'y'], answer: 'A' },
  );
  const zip = zipSync({ 'in/c.jsonl': strToU8(jsonl({ prompt: 'a', completion: 'b' })) });
  const archive = {
    ...textSource('z.zip', ''),
    size: zip.length,
    read: async (a: number, b: number) => zip.slice(a, b) as Uint8Array<ArrayBuffer>,
  };
  const { files, tokens } = await readDataset(
    [textSource('a.jsonl', one), archive],
    options(chatml, {}),
  );
  expect(files).toMatchObject([
    {
      name: 'a.jsonl',
      rows: 3,
      badRows: 1,
      examples: 2,
      formats: ['prompt–completion', 'question–choices–answer'],
    },
    { name: 'z.zip/in/c.jsonl', rows: 1, badRows: 0, examples: 1, formats: ['prompt–completion'] },
  ]);
  expect(files.reduce((sum, file) => sum + file.tokens, 0)).toBe(tokens);
});

test('plain text: the whole document in pieces, every token but each first trained', async () => {
  const text = 'The cat sat on the mat. '.repeat(5);
  const whole = bare.encodeDocument(text);
  const { examples, trainedTokens, rows } = await read('a.md', text, bare, { maxLength: 16 });
  expect(examples.flatMap((e) => [...e.ids])).toEqual(
    whole.slice(0, whole.length % 16 === 1 ? -1 : undefined),
  );
  expect(rows).toBe(examples.length);
  expect(trainedTokens).toBe(examples.reduce((n, e) => n + e.ids.length - 1, 0));
  expect(examples[1]).toMatchObject({ line: 2, answer: null, truncated: false });
});

test('2,000 random damages of JSONL and CSV: rows are read or named, or the file is refused', {
  timeout: 60000,
}, async () => {
  const files = {
    'a.jsonl': jsonl(
      { input_ids: [1, 2, 3], labels: [-100, 2, 3] },
      { prompt: 'a "q"', completion: 'b' },
      {
        messages: [
          { role: 'user', content: 'x' },
          { role: 'assistant', content: 'y' },
        ],
      },
    ),
    'a.csv': 'prompt,completion\r\na,"b, c"\r\nd,e\r\n"f\r\ng",h\r\n',
  };
  const alphabet = [
    '"',
    ',',
    '{',
    '}',
    '[',
    ']',
    '\n',
    '\r',
    '\\',
    '\0',
    ':',
    '-',
    '1e999',
    'null',
    '\ud800',
    '<|im_end|>',
    '\u2028',
  ];
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...(Object.keys(files) as (keyof typeof files)[])),
      fc.array(
        fc.record({ at: fc.nat(200), cut: fc.nat(6), put: fc.constantFrom('', ...alphabet) }),
        { minLength: 1, maxLength: 4 },
      ),
      async (name, edits) => {
        let text = files[name];
        for (const { at, cut, put } of edits)
          text = text.slice(0, at % text.length) + put + text.slice((at % text.length) + cut);
        try {
          const dataset = await read(name, text);
          expect(dataset.examples.length + dataset.bad.length).toBe(dataset.rows);
          for (const e of dataset.examples) expect(trained(e).length).toBeGreaterThan(0);
        } catch (e) {
          expect(e).toBeInstanceOf(InputError);
        }
      },
    ),
    { numRuns: 2000, seed: 1 },
  );
});
