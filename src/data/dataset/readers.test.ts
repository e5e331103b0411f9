// Formats of rows, packed files, streaming and cancelling; 10,000 damaged files of each kind: rows
// are read or named, or the file is refused.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { gzipSync, zipSync } from 'fflate';
import { describe, expect, test } from 'vitest';
import { goldenText, textSource, tokenizerFolder } from '../../testing/text-fixture.ts';
import { InputError } from '../../util/error.ts';
import { type ByteSource, bytesSource } from '../source.ts';
import { loadTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import type { DatasetOptions } from './dataset.ts';
import { readDataset } from './formats.ts';
import { parquetRows } from './parquet.ts';

const chatml = await loadTokenizer(tokenizerFolder(goldenText.templates.chatml.template));
const options = (tokenizer: Tokenizer | null = chatml): DatasetOptions => ({
  tokenizer,
  vocab: 342,
  data: { maxLength: 256, completionOnly: true, template: 'auto' },
});
const bytes = (text: string) => new TextEncoder().encode(text);
const read = (source: ByteSource, more: Partial<DatasetOptions> = {}) =>
  readDataset([source], { ...options(), ...more });
const rowsOf = (...rows: unknown[]) => rows.map((r) => JSON.stringify(r)).join('\n');
const texts = async (source: ByteSource) =>
  (await read(source)).examples.map((e) => chatml.decode(e.ids));
const golden = join(import.meta.dirname, '../../testing/golden/parquet');

describe('formats of rows', () => {
  const same = async (row: object, as: object) =>
    expect(await texts(textSource('a.jsonl', rowsOf(row)))).toEqual(
      await texts(textSource('a.jsonl', rowsOf(as))),
    );
  test('ShareGPT conversations, with and without a system message', async () => {
    const turns = [
      { from: 'human', value: 'one' },
      { from: 'gpt', value: 'two' },
    ];
    const messages = [
      { role: 'user', content: 'one' },
      { role: 'assistant', content: 'two' },
    ];
    await same({ conversations: turns }, { messages });
    await same(
      { conversations: turns, system: 'S' },
      { messages: [{ role: 'system', content: 'S' }, ...messages] },
    );
    await same({ conversations: messages }, { messages });
  });
  test('alpaca, with and without input', async () => {
    await same({ instruction: 'do', output: 'done' }, { prompt: 'do', completion: 'done' });
    await same(
      { instruction: 'do', input: 'this', output: 'done', answer: 'x' },
      { prompt: 'do\n\nthis', completion: 'done' },
    );
  });
  test('choices: each as an answer, the right one named by label, text or number', async () => {
    const prompt = 'which\n\nA. cat\nB. mat';
    const wanted = await read(
      textSource('a.jsonl', rowsOf({ prompt, completion: 'mat' }, { prompt, completion: 'cat' })),
    );
    for (const row of [
      { question: 'which', choices: ['cat', 'mat'], answer: 'B' },
      { question: 'which', choices: ['cat', 'mat'], answer: 'mat' },
      { question: 'which', choices: ['cat', 'mat'], answer: 1 },
      {
        question_stem: 'which',
        choices: { text: ['cat', 'mat'], label: ['A', 'B'] },
        answerKey: 'B',
      },
      { question: 'which', A: 'cat', B: 'mat', answer: 'B' },
    ]) {
      const { examples, formats } = await read(textSource('a.jsonl', rowsOf(row)));
      expect(formats).toEqual({ 'question–choices–answer': 1 });
      const [{ ids, labels, choices, answer }] = examples;
      expect([ids, labels, answer]).toEqual([
        wanted.examples[0].ids,
        wanted.examples[0].labels,
        'mat',
      ]);
      expect(choices?.correct).toBe(1);
      expect(choices?.options.map((o) => o.ids)).toEqual([
        wanted.examples[1].ids,
        wanted.examples[0].ids,
      ]);
      expect(choices?.options[0].labels).toEqual(wanted.examples[1].labels);
    }
    const bad = await read(
      textSource(
        'a.jsonl',
        rowsOf(
          { question: 'q', choices: ['a', 'b'], answer: 'C' },
          { prompt: 'a', completion: 'b' },
        ),
      ),
    );
    expect(bad.bad[0].reason).toContain('"answer" is "C", which is not one of the choices');
  });
  test('text rows are documents with an end, cut into pieces', async () => {
    const text = 'The cat sat on the mat. '.repeat(4);
    const ids = [...chatml.encodeDocument(text), 1];
    const data = { maxLength: 16, completionOnly: true, template: 'auto' as const };
    const { examples, rows, trainedTokens } = await read(textSource('a.jsonl', rowsOf({ text })), {
      data,
    });
    expect(examples.flatMap((e) => [...e.ids])).toEqual(ids);
    expect([rows, trainedTokens]).toEqual([1, ids.length - examples.length]);
    expect(examples.every((e) => e.line === 1)).toBe(true);
  });
  test('lists in the cells of a table', async () => {
    const csv = 'input_ids,labels\n"[1, 2]","[-100, 2]"\n"[1, 2","[1, 2]"\n';
    const { examples, bad } = await read(textSource('a.csv', csv));
    expect([...examples[0].labels]).toEqual([-100, 2]);
    expect(bad[0].reason).toContain('the list in it is not valid JSON');
  });
  test('Parquet', async () => {
    const file = new Uint8Array(readFileSync(join(golden, 'chat-v2.parquet')));
    const { examples, formats, bad } = await read(bytesSource(file, 'a.parquet'));
    expect([examples.length, bad.length, formats]).toEqual([40, 0, { messages: 40 }]);
  });
});

describe('packed files', () => {
  const jsonl = rowsOf({ prompt: 'a', completion: 'b' }, { prompt: 'c', completion: 'd' });
  test('gzip, also in several parts; zip with files of several kinds', async () => {
    const plain = await texts(textSource('a.jsonl', jsonl));
    const halves = new Uint8Array([
      ...gzipSync(bytes(jsonl.slice(0, 20))),
      ...gzipSync(bytes(jsonl.slice(20))),
    ]);
    expect(await texts(bytesSource(new Uint8Array(gzipSync(bytes(jsonl))), 'a.jsonl.gz'))).toEqual(
      plain,
    );
    expect(await texts(bytesSource(halves, 'a.jsonl.gz'))).toEqual(plain);
    const parquet = new Uint8Array(readFileSync(join(golden, 'pairs-zstd.parquet')));
    const zip = zipSync({
      'x/a.jsonl': bytes(jsonl),
      '.hidden': bytes('?'),
      'b.csv': [bytes('prompt,completion\na,b\n'), { level: 0 }],
      'c.parquet': parquet,
    });
    const dataset = await read(bytesSource(new Uint8Array(zip), 'all.zip'));
    expect([dataset.rows, dataset.bad]).toEqual([43, []]);
    expect(dataset.examples[0].file).toBe('all.zip/x/a.jsonl');
  });
  test.each([
    [
      'cut off',
      new Uint8Array(gzipSync(bytes(jsonl)).slice(0, -12)),
      'a.jsonl.gz',
      'cut off or damaged',
    ],
    ['no gzip', bytes(jsonl), 'a.jsonl.gz', 'cannot be unpacked'],
    ['no zip', bytes(jsonl), 'a.zip', 'not a readable zip archive'],
    [
      'nothing in it',
      new Uint8Array(zipSync({ '.x': bytes('a') })),
      'a.zip',
      'the archive is empty',
    ],
  ])('%s', async (_name, file, name, message) => {
    await expect(read(bytesSource(file, name))).rejects.toThrow(message);
  });
});

describe('streams', () => {
  test('characters, line breaks and quotes that lie across pieces', async () => {
    const small = (text: string, name: string): ByteSource => {
      const source = bytesSource(bytes(text), name);
      return {
        ...source,
        size: source.size * 2 ** 20,
        read: (start) => source.read(start / 2 ** 20, start / 2 ** 20 + 1),
      };
    };
    const csv = 'prompt,completion\r\n"Über ""x""\r\n🐈",日本\r\nb,c\r\n';
    expect(await texts(small(csv, 'a.csv'))).toEqual(await texts(textSource('a.csv', csv)));
    const list = JSON.stringify([
      { prompt: 'a]"},{', completion: '🐈\\' },
      { prompt: 'x', completion: '[1]' },
    ]);
    expect(await texts(small(list, 'a.json'))).toEqual(await texts(textSource('a.json', list)));
  });
  test('cancelled while it reads; how far it is', async () => {
    const controller = new AbortController();
    const seen: number[] = [];
    const source = textSource(
      'a.jsonl',
      Array(2000)
        .fill(rowsOf({ prompt: 'a', completion: 'b' }))
        .join('\n'),
    );
    const reading = read(source, {
      signal: controller.signal,
      onProgress: ({ rows, bytes: at, totalBytes }) => {
        seen.push(rows);
        expect([at, totalBytes]).toEqual([source.size, source.size]);
        if (rows >= 400) controller.abort(new Error('enough'));
      },
    });
    await expect(reading).rejects.toThrow('enough');
    expect(seen).toEqual([200, 400]);
  });
  test.each(['jsonl', 'csv'])(
    '64 MiB of %s are not held in memory',
    { timeout: 120_000 },
    async (kind) => {
      setFlagsFromString('--expose-gc');
      const gc = runInNewContext('gc') as () => void;
      const filler = 'x y '.repeat(16_000);
      const line = bytes(
        kind === 'csv'
          ? `a,b,"${filler}"\n`
          : `${rowsOf({ prompt: 'a', completion: 'b', note: filler })}\n`,
      );
      const head = bytes(kind === 'csv' ? 'prompt,completion,note\n' : '');
      const size = head.length + line.length * 1024;
      const source: ByteSource = {
        name: `a.${kind}`,
        size,
        read: async (start, end) => {
          const out = new Uint8Array(end - start);
          for (let at = start; at < end; at++)
            out[at - start] = at < head.length ? head[at] : line[(at - head.length) % line.length];
          return out;
        },
      };
      const held = () => {
        gc();
        const { heapUsed, arrayBuffers } = process.memoryUsage();
        return heapUsed + arrayBuffers;
      };
      const before = held();
      let most = 0;
      let calls = 0;
      const { examples } = await read(source, {
        onProgress: () => (most = calls++ % 8 === 0 ? Math.max(most, held() - before) : most),
      });
      expect(examples.length).toBe(1024);
      expect(size).toBeGreaterThan(60 * 2 ** 20);
      expect(most).toBeLessThan(16 * 2 ** 20);
    },
  );
});

describe('10,000 damaged files', () => {
  const pieces = [
    '',
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
    '-',
    '1e999',
    'null',
    '\ud800',
    '<|im_end|>',
    '\u2028',
    '\xff',
  ].map(bytes);
  const edit = fc.record({
    at: fc.nat(),
    cut: fc.nat(8),
    put: fc.oneof(fc.constantFrom(...pieces), fc.uint8Array({ minLength: 1, maxLength: 4 })),
  });
  const damaged = (file: Uint8Array, edits: { at: number; cut: number; put: Uint8Array }[]) => {
    let out = [...file];
    for (const { at, cut, put } of edits)
      out = [...out.slice(0, at % file.length), ...put, ...out.slice((at % file.length) + cut)];
    return new Uint8Array(out);
  };
  const files: [string, string[], Uint8Array[]][] = [
    [
      'JSONL',
      ['a.jsonl', 'a.json'],
      [
        bytes(
          rowsOf(
            { input_ids: [1, 2, 3], labels: [-100, 2, 3] },
            { input_ids: [4, 5], labels: [4, 5] },
          ),
        ),
        bytes('[{"input_ids":[1,2],"labels":[1,2]}, {"input_ids":[3],"labels":[]}]'),
      ],
    ],
    [
      'CSV',
      ['a.csv', 'a.tsv'],
      [bytes('input_ids,labels,z\r\n"[1,2]","[1,2]",x\r\n"[3,4]","[-100,4]","q ""r"""\r\n')],
    ],
    [
      'Parquet',
      ['a.parquet'],
      [
        'tokens-delta',
        'tokens-dictionary',
        'chat-v2',
        'pairs-snappy',
        'pairs-gzip',
        'pairs-zstd',
        'text-delta',
        'text-shared-v2',
        'choices',
      ].map((f) => new Uint8Array(readFileSync(join(golden, `${f}.parquet`)))),
    ],
  ];
  test.each(files)('%s', { timeout: 240_000 }, async (_kind, names, originals) => {
    const chosen = fc.constantFrom(
      ...names.flatMap((name) => originals.map((file) => ({ name, file }))),
    );
    let worst = 0;
    let slowest = 0;
    await fc.assert(
      fc.asyncProperty(
        chosen,
        fc.array(edit, { minLength: 1, maxLength: 3 }),
        async ({ name, file }, edits) => {
          const source = bytesSource(damaged(file, edits), name);
          const before = process.memoryUsage();
          const started = performance.now();
          try {
            if (name === 'a.parquet')
              for await (const batch of parquetRows(source, null, {}))
                for (const row of batch) row.value();
            else {
              const { examples, bad, rows } = await readDataset([source], options(null));
              expect(examples.length + bad.length).toBe(rows);
            }
          } catch (e) {
            if (!(e instanceof InputError)) throw e;
          }
          slowest = Math.max(slowest, performance.now() - started);
          const after = process.memoryUsage();
          worst = Math.max(
            worst,
            after.heapUsed +
              after.arrayBuffers -
              before.heapUsed -
              before.arrayBuffers -
              4 * source.size,
          );
        },
      ),
      { numRuns: 10_000, seed: 5 },
    );
    expect(slowest).toBeLessThan(10_000);
    expect(worst).toBeLessThan(16 * 2 ** 20);
  });
});
