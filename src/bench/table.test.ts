// What was measured as figures, in text and as JSON; and which cases are measured.
import { expect, test } from 'vitest';
import { InputError } from '../util/error.ts';
import { chooseCases, type Row } from './cases.ts';
import { figuresOf, measurementsJson, measurementsText, searchText } from './table.ts';

const rows: Row[] = [
  { name: 'device/multiply-add', milliseconds: 2, flops: 8e9 },
  { name: 'device/copy', milliseconds: 0.5, flops: 0, bytes: 1e9 },
  { name: 'product/tiny/x', variant: 'tile', milliseconds: 1, flops: 2e9 },
  { name: 'product/tiny/x', variant: 'register', milliseconds: 2, flops: 2e9 },
  {
    name: 'step/tiny/lora/1x128',
    milliseconds: 10,
    flops: 5e9,
    dispatches: 1539,
    tokensPerSecond: 12800,
  },
];
const about = { device: 'Test GPU', kernels: { product: 'tile' }, clock: 'timestamp queries' };

test('shares are of the fastest product and of the loop; what a row lacks is null', () => {
  const [loop, copy, tile, register, step] = figuresOf(rows);
  expect(loop).toMatchObject({ gflops: 4000, ofLoop: 100, ofProduct: 200, bandwidth: null });
  expect(copy).toMatchObject({ gflops: 0, ofLoop: null, ofProduct: null, bandwidth: 2000 });
  expect(tile).toMatchObject({ variant: 'tile', ofProduct: 100, ofLoop: 50, launches: null });
  expect(register).toMatchObject({ ofProduct: 50, ofLoop: 25 });
  expect(step).toEqual({
    name: 'step/tiny/lora/1x128',
    variant: null,
    milliseconds: 10,
    gflops: 500,
    ofProduct: 25,
    ofLoop: 12.5,
    bandwidth: null,
    launches: 1539,
    tokensPerSecond: 12800,
  });
  const [alone] = figuresOf([rows[4]]);
  expect(alone).toMatchObject({ ofProduct: null, ofLoop: null });
});

test('the text has the device, the clock and a line per row, in columns', () => {
  const text = measurementsText({ ...about, rows });
  const [device, gap, clock, head, ...lines] = text.trimEnd().split('\n');
  expect([device, gap, clock]).toEqual([
    'Test GPU',
    '',
    'By timestamp queries; steps by the wall clock.',
  ]);
  expect(lines).toHaveLength(rows.length);
  const end = (title: string) => head.indexOf(title) + title.length;
  const cellAt = (line: string, title: string) => line.slice(0, end(title)).split(' ').at(-1);
  expect(cellAt(lines[2], 'ms')).toBe('1.000');
  expect(cellAt(lines[2], 'GFLOP/s')).toBe('2000.0');
  expect(cellAt(lines[1], 'GB/s')).toBe('2000.0');
  expect(cellAt(lines[4], 'dispatches')).toBe('1539');
  expect(cellAt(lines[4], 'tokens/s')).toBe('12800.0');
  expect(lines[3]).toMatch(/^product\/tiny\/x +register .* 50 % +25 %/);
  const work = { count: 3, milliseconds: 2, flops: 4e6, workgroups: 9, bytes: 5e5 };
  const profile = [{ label: 'q', kernel: 'tile', ...work }];
  expect(
    measurementsText({ ...about, browser: 'Browser', rows: [{ ...rows[4], profile }] }),
  ).toMatch(
    /^Test GPU\nBrowser\n\nBy [\s\S]+\n\nstep\/tiny\/lora\/1x128\nby launch [\s\S]+\nq +3 +2\.0 +100\.0 +2\.00 +9 +0\.5 +tile\n$/,
  );
});

test('the JSON is one line, with the rows as they are and their GFLOP/s', () => {
  const json = measurementsJson({ ...about, rows });
  expect(json.split('\n')).toEqual([expect.any(String), '']);
  expect(JSON.parse(json)).toEqual({
    ...about,
    cases: rows.map((row, i) => ({ ...row, gflops: [4000, 0, 2000, 1000, 500][i] })),
    bestProduct: 2000,
  });
});

test('search steps stand beside the plain micro-step', () => {
  const step = { step: 'paper, first-order', milliseconds: 20, ratio: 2, ratios: [2] };
  const costs = { plainMilliseconds: 10, plainFlops: 1 };
  const text = (cpuRatio: number | null) =>
    searchText({ ...costs, steps: [{ ...step, cpuRatio, flopRatio: 1.82 }] }).split('\n')[2];
  expect(text(1.5)).toMatch(/^paper, first-order +20 +2\.00 +1\.50 +1\.82$/);
  expect(text(null)).toMatch(/^paper, first-order +20 +2\.00 +1\.82$/);
});

test('cases are chosen by parts of their names, or by the kind of the device', () => {
  const names = (named: string[], software = false) =>
    chooseCases(named, { software }).map(({ name }) => name);
  expect(names(['search/demo/paper'])).toEqual([
    'search/demo/paper/first-order',
    'search/demo/paper/second-order',
  ]);
  expect(names([])).toContain('search/demo/survival/first-order');
  expect(names([], true)).toContain('device/copy');
  expect(names([], true).length).toBeLessThan(names([]).length);
  expect(new Set(names([])).size).toBe(names([]).length);
  expect(() => names(['nowhere'])).toThrow(InputError);
  expect(() => names(['nowhere'])).toThrow(
    /^No case has nowhere in its name; .*device\/, product\//,
  );
});
