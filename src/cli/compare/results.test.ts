// results.jsonl and the table made from it.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type Result, ResultLog } from './results.ts';
import { markdownTable, tableMarkdown, tableRows } from './table.ts';

const dir = mkdtempSync(join(tmpdir(), 'compare-test-'));
afterAll(() => rmSync(dir, { recursive: true }));

const line = (change: Partial<Result> = {}): Result => ({
  stage: 'final',
  method: 'uniform',
  seed: 1,
  learningRate: 0.01,
  hash: 'abc',
  parameters: 1000,
  steps: 5,
  validationLoss: 0.5,
  loss: 0.4,
  exactMatch: 0.75,
  seconds: { prepare: 1, train: 2, evaluate: 3 },
  device: 'a device',
  kernels: { product: 'tile' },
  ...change,
});

describe('the file', () => {
  const open = (path: string) => {
    const notes: string[] = [];
    return { log: new ResultLog(path, (text) => notes.push(text)), notes };
  };
  test('what was added is found again by its key, and by nothing else', () => {
    const path = join(dir, 'a.jsonl');
    open(path).log.append(line());
    open(path).log.append(line({ seed: 2, exactMatch: null }));
    const { log, notes } = open(path);
    expect(log.get(line())).toEqual(line());
    expect(log.get(line({ seed: 2 }))?.exactMatch).toBeNull();
    for (const other of [
      { seed: 3 },
      { stage: 'tune' as const },
      { learningRate: 0.1 },
      { hash: 'abd' },
      { method: 'random' },
    ])
      expect(log.get(line(other))).toBeUndefined();
    expect([notes, readFileSync(path, 'utf8').split('\n').length]).toEqual([[], 3]);
  });
  test('a last line that was cut off is removed and reported; the rest stays', () => {
    const path = join(dir, 'b.jsonl');
    const whole = `${JSON.stringify(line({ method: 'größer' }))}\n`;
    const text = JSON.stringify(line({ seed: 2, method: 'größer' }));
    writeFileSync(path, whole + text.slice(0, 60));
    const { log, notes } = open(path);
    expect(readFileSync(path, 'utf8')).toBe(whole);
    expect(notes).toEqual([expect.stringMatching(/b\.jsonl line 2 was cut off/)]);
    log.append(line({ seed: 3 }));
    expect(readFileSync(path, 'utf8').trim().split('\n').length).toBe(2);
  });
  test('a last line that only lacks its line break counts', () => {
    const path = join(dir, 'c.jsonl');
    writeFileSync(path, JSON.stringify(line()));
    const { log, notes } = open(path);
    log.append(line({ seed: 2 }));
    expect([notes, open(path).log.get(line({ seed: 1 }))]).toEqual([[], line()]);
  });
  test('any other line that is not a result is refused by number', () => {
    const path = join(dir, 'd.jsonl');
    writeFileSync(path, `${JSON.stringify(line())}\n{"method": 3}\n`);
    expect(() => open(path)).toThrow(/d\.jsonl line 2 is not a result/);
  });
});

describe('the table', () => {
  const of = (
    name: string,
    matches: (number | null)[],
    losses: number[],
    edge: 'lowest' | 'highest' | null = null,
  ) => ({
    name,
    learningRate: 0.01,
    edge,
    results: matches.map((exactMatch, i) =>
      line({ method: name, seed: i + 1, exactMatch, loss: losses[i], parameters: 1000 + i }),
    ),
  });
  test('differences are paired by seed', () => {
    const base = of('base', [0.5, 0.7], [0.4, 0.2]);
    const other = of('other', [0.7, 0.6, 0.9], [0.3, 0.3, 0.1], 'highest');
    other.results.reverse();
    const [first, second] = tableRows([base, of('none', [], []), other], 'base');
    expect(first).toMatchObject({
      name: 'base',
      n: 2,
      difference: null,
      parameters: { least: 1000, most: 1001 },
    });
    expect(second).toMatchObject({
      name: 'other',
      n: 3,
      difference: { exactMatch: { n: 2 }, loss: { n: 2 } },
    });
    expect(second.difference?.exactMatch?.mean).toBeCloseTo(0.05, 12);
    expect(second.difference?.loss.mean).toBeCloseTo(0, 12);
    const text = tableMarkdown({ baseline: 'base', methods: [first, second], found: [] });
    expect(text).toMatch(/\| other +\| +3 \| +0\.01 \\\* \| +1,000–1,002 \|/);
    expect(text).toMatch(/\+0\.050 \(−1\.856 … \+1\.956\)/);
    expect(text).toMatch(/at the end of the grid/);
  });
  test('one seed has no spread; rows without answers have no exact match', () => {
    const rows = tableRows([of('base', [null], [0.4]), of('other', [null], [0.3])], 'base');
    expect(rows.map((r) => r.exactMatch)).toEqual([null, null]);
    const cells = tableMarkdown({ baseline: 'base', methods: rows, found: [] }).split('\n')[3];
    expect(cells.split('|').map((c) => c.trim())).toEqual([
      '',
      'other',
      '1',
      '0.01',
      '1,000',
      '–',
      '–',
      '0.300',
      '−0.100',
      '',
    ]);
  });
  test('what searches found', () => {
    const value = { n: 2, mean: 1234.4, sd: 10 };
    const found = [
      {
        name: 's',
        n: 2,
        agreement: 0.5,
        parameters: value,
        expectedParameters: null,
        closed: value,
        seconds: value,
      },
    ];
    expect(tableMarkdown({ baseline: 'base', methods: [], found })).toMatch(
      /\| s +\| +2 \| +\+0\.50 \| +1,234 ± 10 \| +– \|/,
    );
  });
  test('columns are as wide as their widest cell', () => {
    expect(markdownTable(['a', 'b'], [['long', '1']]).split('\n')).toEqual([
      '| a    |   b |',
      '| ---- | --: |',
      '| long |   1 |',
    ]);
  });
});
