// Parquet: files by pyarrow in every packing and page version, columns as formats, broken files.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fileSource } from '../../cli/files.ts';
import { InputError } from '../../util/error.ts';
import { type ByteSource, bytesSource } from '../source.ts';
import { parquetRows } from './parquet.ts';
import type { Row } from './row.ts';

const folder = join(import.meta.dirname, '../../testing/golden/parquet');
const golden = JSON.parse(readFileSync(join(folder, 'golden.json'), 'utf8')) as Record<
  string,
  Record<string, unknown>[]
>;
const open = (name: string) => fileSource(join(folder, `${name}.parquet`));

async function all(
  source: ByteSource,
  columns: { prompt: string; completion: string } | null = null,
): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const batch of parquetRows(source, columns, {})) rows.push(...batch);
  return rows;
}

test.each(Object.entries(golden))('%s: the rows that pyarrow wrote', async (name, expected) => {
  const rows = await all(open(name));
  const known = Object.keys(expected[0]).filter((key) => !['id', 'score', 'source'].includes(key));
  expect(rows.map((row) => row.value())).toEqual(
    expected.map((row) => Object.fromEntries(known.map((key) => [key, row[key]]))),
  );
  expect(rows.map((row) => row.line)).toEqual(expected.map((_, i) => i + 1));
  expect(JSON.parse(rows[0].raw)).toEqual(rows[0].value());
});

test('columns that are chosen, and only they are read', async () => {
  const rows = await all(open('pairs-snappy'), { prompt: 'completion', completion: 'prompt' });
  expect(rows.length).toBe(40);
  let bytes = 0;
  const source = open('chat-v2');
  const read = (start: number, end: number) => {
    bytes += end - start;
    return source.read(start, end);
  };
  await all({ ...source, read });
  expect(bytes).toBeLessThan(source.size);
});

test('cancelled between rows; says how far it is', async () => {
  const controller = new AbortController();
  const seen: number[] = [];
  const reading = (async () => {
    for await (const _ of parquetRows(open('pairs-none'), null, {
      signal: controller.signal,
      onBytes: (n) => seen.push(n),
    })) {
      controller.abort(new Error('enough'));
    }
  })();
  await expect(reading).rejects.toThrow('enough');
  expect(seen.length).toBeGreaterThan(0);
});

describe('files that cannot be read', () => {
  const bytes = () => new Uint8Array(readFileSync(join(folder, 'pairs-none.parquet')));
  const cases: [string, Uint8Array<ArrayBuffer>, string][] = [
    ['too short', new Uint8Array(4), 'its end is not that of a Parquet file'],
    [
      'another kind',
      new TextEncoder().encode('prompt,completion\n'),
      'its end is not that of a Parquet file',
    ],
    ['cut off', bytes().slice(0, -20), 'its end is not that of a Parquet file'],
    ['its end alone', bytes().slice(-12), 'its footer is longer than the file'],
    [
      'the pages are gone',
      new Uint8Array([...new Uint8Array(bytes().length - 2000), ...bytes().slice(-2000)]),
      'cannot be read',
    ],
  ];
  test.each(cases)('%s', async (_name, file, message) => {
    const error = await all(bytesSource(file, 'a.parquet')).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).toContain(message);
  });
  test('columns of no known name', async () => {
    const columns = { prompt: 'q', completion: 'a' };
    await expect(all(open('pairs-none'), columns)).rejects.toThrow(
      'needs the columns "q" and "a"; it has "id", "score", "prompt", "completion"',
    );
  });
});
