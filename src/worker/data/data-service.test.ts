// The data worker's service on the demo's tokenizer: reports, previews, columns, what is handed
// over.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { beforeAll, describe, expect, test } from 'vitest';
import type { DataOptions, DatasetReport, ReadingProgress } from '../protocol/api.ts';
import { columnsIn } from './columns.ts';
import { DataService } from './data-service.ts';

const file = (name: string, content: string) => new File([content], name);
const model = {
  kind: 'files' as const,
  name: 'demo',
  files: ['tokenizer.json', 'tokenizer_config.json'].map((name) =>
    file(name, readFileSync(`public/demo/${name}`, 'utf8')),
  ),
};
const options: DataOptions = {
  maxLength: 64,
  completionOnly: true,
  turns: 'all',
  template: 'auto',
  columns: null,
  system: null,
  limit: null,
  whole: [],
};
const service = new DataService('https://example.invalid/');
const read = (name: string, content: string, change: Partial<DataOptions> = {}) =>
  service.read({ kind: 'files', files: [file(name, content)] }, { ...options, ...change });

beforeAll(async () => {
  expect(await service.openTokenizer(model, 784)).toEqual({ tokenizer: true, template: true });
});

const inOrder = { weights: {}, shuffle: false };
const rows =
  '{"prompt":"Who bit Zoe?","completion":"Ida"}\nnot json\n{"prompt":"Where is Sam?","completion":"in the cave"}\n';

describe('a dataset', () => {
  test('is reported with bad rows, shares and a first row whose mask covers the answer and its end', async () => {
    const report = (await read('rows.jsonl', rows)) as DatasetReport;
    expect(report).toMatchObject({
      rows: 3,
      examples: 2,
      badRows: 1,
      truncated: 0,
      heldOut: null,
      files: ['rows.jsonl'],
    });
    expect(report.bad[0]).toMatchObject({ line: 2, raw: 'not json' });
    const [{ raw, rendered, tokens, line }] = report.previews;
    expect(tokens.filter((t) => t.mask === 'trained').map((t) => t.text)).toEqual([
      ' Ida',
      '<|end|>',
    ]);
    expect(tokens[0]).toEqual({ text: '<|bos|>', mask: 'masked' });
    expect([line, raw]).toEqual([1, '{"prompt":"Who bit Zoe?","completion":"Ida"}']);
    expect(rendered).toBe(tokens.map((t) => t.text).join(''));
    expect(report.checks).toMatchObject({ ends: 2, empty: 0, duplicates: 0 });
    expect(report.trainedTokens).toBe(2 + 4);
  });

  test('is handed over end to end, held-out rows by number', async () => {
    const report = (await read('rows.jsonl', rows)) as DatasetReport;
    const { ids, labels, starts } = service.examples();
    expect(starts[2]).toBe(report.tokens);
    expect([ids.length, labels.length]).toEqual([report.tokens, report.tokens]);
    expect(labels.filter((l) => l !== -100)).toHaveLength(report.trainedTokens);
    const [row] = service.heldOut(Int32Array.of(1));
    expect(row).toMatchObject({ expected: 'in the cave', answer: 'in the cave' });
    expect(row.prompt).toContain('Where is Sam?');
  });

  test('hands over held-out questions with their choices, whole and as text', async () => {
    await read(
      'choices.jsonl',
      '{"question":"Who bit Zoe?","choices":["Ida","the owl"],"answer":"B"}\n',
    );
    const [row] = service.heldOut(Int32Array.of(0));
    expect(row.choices).toMatchObject({ correct: 1, texts: ['Ida', 'the owl'] });
    expect(row.choices!.options.map(({ ids }) => ids.length)).toEqual([
      row.promptIds.length + 2,
      row.promptIds.length + 3,
    ]);
  });

  test('names the formats of its rows, also in an archive', async () => {
    const mixed =
      '{"instruction":"Say it","output":"it"}\n{"prompt":"a","completion":"b"}\n{"prompt":"c","completion":"d"}\n';
    const packed = new File([gzipSync(mixed)], 'mixed.jsonl.gz');
    const report = await service.read({ kind: 'files', files: [packed] }, options);
    expect(report).toMatchObject({ rows: 3, formats: { alpaca: 1, 'prompt–completion': 2 } });
  });

  test('tells how far its reading is, and can be cancelled, which leaves no data', async () => {
    const many = '{"prompt":"Who bit Zoe?","completion":"Ida"}\n'.repeat(20_000);
    const seen: ReadingProgress[] = [];
    const whole = await service.read(
      { kind: 'files', files: [file('many.jsonl', many)] },
      options,
      (progress) => {
        seen.push(progress);
        service.cancel();
      },
    );
    expect(whole).toBeNull();
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({ totalBytes: many.length });
    expect(seen[0].rows).toBeLessThan(20_000);
    expect(seen[0].secondsLeft).toBeGreaterThanOrEqual(0);
    expect(() => service.examples()).toThrow('There is no data to train on.');
  });

  test('counts duplicates, empty answers, cut rows without their end, and validation rows that are trained on', async () => {
    const row = (prompt: string, completion: string) =>
      `${JSON.stringify({ prompt, completion })}\n`;
    const long = row('Where is Sam?', 'in the cave '.repeat(30));
    const same = row('Who bit Zoe?', 'Ida');
    const report = (await read(
      'rows.jsonl',
      row('Who?', '') + same.repeat(4) + long,
    )) as DatasetReport;
    expect(report).toMatchObject({ rows: 6, examples: 5, truncated: 1, longest: 64 });
    expect(report.checks).toMatchObject({ ends: 4, empty: 1, duplicates: 3 });
    expect(report.checks.lengths.reduce((sum, bin) => sum + bin.rows, 0)).toBe(5);
    expect(report.bad.map(({ kind }) => kind)).toEqual(['empty']);
    const cut = report.previews[4];
    expect(cut).toMatchObject({ kept: 64 });
    expect(cut.tokens.map((t) => t.mask).indexOf('truncated')).toBe(64);
    expect(service.split({ validation: 0.2, ...inOrder }, 0)).toEqual({
      train: 4,
      validation: 1,
      overlap: 0,
      tokens: report.tokens - 64,
    });
    await read('rows.jsonl', long + same.repeat(4));
    expect(service.split({ validation: 0.4, ...inOrder }, 0)).toMatchObject({
      train: 3,
      validation: 2,
      overlap: 2,
    });
    expect(service.split({ validation: 0, ...inOrder }, 0)).toMatchObject({
      train: 5,
      validation: 0,
      overlap: 0,
    });
  });

  test('of several files: each with its rows, handed over with their names, split and weighed by them', async () => {
    const row = (prompt: string, completion: string) =>
      `${JSON.stringify({ prompt, completion })}\n`;
    const [zoe, sam] = [row('Who bit Zoe?', 'Ida'), row('Where is Sam?', 'in the cave')];
    const files = [
      file('a.jsonl', zoe),
      file('b.jsonl', `${sam}not json\n`),
      file('held.jsonl', zoe + sam),
    ];
    const report = (await service.read({ kind: 'files', files }, options)) as DatasetReport;
    expect(
      report.parts.map(({ name, rows, badRows, examples }) => [name, rows, badRows, examples]),
    ).toEqual([
      ['a.jsonl', 1, 0, 1],
      ['b.jsonl', 2, 1, 1],
      ['held.jsonl', 2, 0, 2],
    ]);
    expect(service.examples().files.map(({ examples }) => examples)).toEqual([1, 1, 2]);
    const weights = { 'b.jsonl': 3 };
    const [first, second] = report.parts;
    expect(service.split({ validation: ['held.jsonl'], weights, shuffle: true }, 0)).toEqual({
      train: 4,
      validation: 2,
      overlap: 2,
      tokens: first.tokens + 3 * second.tokens,
    });
    expect(() => service.split({ validation: ['none.jsonl'], weights, shuffle: true }, 0)).toThrow(
      'data.validation names none.jsonl',
    );
  });

  test('of another model is forgotten', async () => {
    await read('rows.jsonl', rows);
    await service.openTokenizer(model, 784);
    expect(() => service.examples()).toThrow('There is no data to train on.');
  });
});

describe('columns', () => {
  const source = (name: string, content: string) => {
    const bytes = new TextEncoder().encode(content);
    return { name, size: bytes.length, read: async (a: number, b: number) => bytes.slice(a, b) };
  };
  test.each([
    ['a.csv', '\ufeffquestion;answer\r\nx;y\r\n', ['question', 'answer']],
    ['a.tsv', 'question\tanswer\tid\nx\ty\t1\n', ['question', 'answer', 'id']],
    ['a.jsonl', '\n{"ask":"x}","reply":"y","n":3}\n', ['ask', 'reply', 'n']],
    ['a.json', '[ {"ask":"x","of":{"a":1},"reply":"y"}, {} ]', ['ask', 'of', 'reply']],
    ['a.jsonl', '{"instruction":"x","output":"y"}\n', undefined],
    ['a.csv', 'question,A,B,answer\nq,x,y,A\n', undefined],
    ['a.parquet', 'not one', undefined],
    ['config.json', '{\n "ask": "x",\n "reply": "y"\n}\n', undefined],
    ['a.json', '[]', undefined],
    ['a.jsonl', '{"ask":"x","reply":"y"}', ['ask', 'reply']],
    ['a.csv', 'prompt,completion\nx,y\n', undefined],
    ['a.csv', 'only\nx\n', ['only']],
    ['a.jsonl', '{"messages":[]}\n', undefined],
    ['a.jsonl', 'no json\n', undefined],
    ['a.csv', 'a,b\0\0,c\n', undefined],
    ['a.txt', 'question,answer\n', undefined],
  ])('%s %j', async (name, content, columns) => {
    const found = await columnsIn([source(name, content)]);
    expect(found?.isKnown ? undefined : found?.columns).toEqual(columns);
  });

  test('of Parquet and of files in an archive are asked for and read as chosen too', async () => {
    const column = (name: string, data: string[]) => ({ name, data, type: 'STRING' as const });
    const parquet = parquetWriteBuffer({
      columnData: [column('ask', ['Who bit Zoe?']), column('reply', ['Ida'])],
    });
    const files = [
      new File([parquet], 't.parquet'),
      new File([gzipSync('[{"ask":"Who bit Zoe?","reply":"Ida"}]')], 't.json.gz'),
    ];
    const asked = ['t.parquet', 't.json'].map((name) => ({
      file: name,
      columns: ['ask', 'reply'],
    }));
    expect(
      await Promise.all(
        files.map((one) => new DataService('').read({ kind: 'files', files: [one] }, options)),
      ),
    ).toEqual(asked);
    const columns = { prompt: 'ask', completion: 'reply' };
    const report = await service.read({ kind: 'files', files }, { ...options, columns });
    expect(report).toMatchObject({ rows: 2, examples: 2, checks: { duplicates: 1 } });
  });

  test('are asked for, and read as chosen', async () => {
    const table = 'question,answer\nWho bit Zoe?,Ida\n';
    expect(await read('t.csv', table)).toEqual({ file: 't.csv', columns: ['question', 'answer'] });
    const report = await read('t.csv', table, {
      columns: { prompt: 'question', completion: 'answer' },
    });
    expect(report).toMatchObject({ rows: 1, examples: 1 });
  });

  test('are reported where the format is known, to be chosen anew', async () => {
    const both = '{"prompt":"Who bit Zoe?","completion":"Ida","text":"The cow sleeps."}\n';
    const found = { file: 'a.jsonl', columns: ['prompt', 'completion', 'text'] };
    expect(await read('a.jsonl', both)).toMatchObject({
      found,
      formats: { 'prompt–completion': 1 },
    });
    expect(await read('a.jsonl', both, { columns: { text: 'text' } })).toMatchObject({
      found,
      formats: { text: 1 },
    });
  });
});

test('choices of a question come with its preview', async () => {
  const row = { question: 'Who bit Zoe?', choices: ['Ida', 'Sam'], answer: 'B' };
  const report = (await read('a.jsonl', JSON.stringify(row))) as DatasetReport;
  expect(report.previews[0].choices).toEqual({ texts: ['Ida', 'Sam'], correct: 1 });
});

test('a limit is told, and a system prompt that the template refuses is an error that names it', async () => {
  expect(await read('rows.jsonl', rows, { limit: 1 })).toMatchObject({
    rows: 1,
    examples: 1,
    limited: true,
  });
  await expect(read('rows.jsonl', rows, { system: 'Be brief.' })).rejects.toThrow(
    "data.system, the system prompt, cannot be used: the model's chat template rejects a system message (This model knows the roles",
  );
});
