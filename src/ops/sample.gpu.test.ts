// Choosing tokens on the device against float64: greedy, temperature, top-p, ties, odd vocabularies.
import { expect, test } from 'vitest';
import { nextToken as reference } from '../reference/sample.ts';
import { runOp, values } from '../testing/gpu.ts';
import { Random } from '../util/random.ts';
import { nextToken } from './sample.ts';

/** What the device chooses for each row of logits, as token `number` of `tokens`. */
async function choose(
  logits: Float32Array<ArrayBuffer>,
  rows: number,
  [temperature, topP]: readonly [number, number],
  draws: number[],
) {
  const vocab = logits.length / rows;
  const [tokens, number] = [3, 1];
  const all = new Float32Array(tokens * rows).fill(0.5);
  all.set(draws, number * rows);
  const out = await runOp({
    step: { number },
    inputs: {
      logits: { shape: [rows, vocab], data: logits },
      sampling: { shape: [2], data: Float32Array.of(temperature, topP) },
      draws: { shape: [tokens, rows], data: all },
      chosen: { shape: [tokens, rows], data: new Uint32Array(tokens * rows).fill(7) },
      ids: { shape: [rows], data: new Uint32Array(rows) },
      positions: { shape: [rows], data: Uint32Array.from({ length: rows }, (_, r) => 4 + r) },
    },
    record: (rec, { logits, sampling, draws, chosen, ids, positions }) => {
      nextToken(rec, { logits, sampling, draws, chosen, ids, positions }, 6);
      return { chosen, ids, positions };
    },
  });
  const words = (x: Float32Array) => [...new Uint32Array(x.buffer)];
  const [chosen, ids, positions] = [words(out.chosen), words(out.ids), words(out.positions)];
  expect(chosen.slice(rows, 2 * rows)).toEqual(ids);
  expect(chosen.filter((_, i) => i < rows || i >= 2 * rows)).toEqual(Array(2 * rows).fill(7));
  expect(positions).toEqual(ids.map((_, r) => Math.min(5 + r, 5)));
  return ids;
}

test.each([
  [0, 1],
  [0.7, 1],
  [1.5, 0.9],
  [1, 0.5],
  [1, 0.999],
  [3, 0.05],
] as const)('temperature %d, top-p %d', async (temperature, topP) => {
  const rows = 24;
  for (const vocab of [2, 131, 2000]) {
    const logits = values(vocab, rows * vocab, 6);
    const random = new Random(1, 'draws');
    const draws = Array.from({ length: rows }, () => Math.fround(random.uniform()));
    const got = await choose(logits, rows, [temperature, topP], draws);
    const want = draws.map((draw, r) =>
      reference(logits.subarray(r * vocab, (r + 1) * vocab), temperature, topP, draw),
    );
    expect(got).toEqual(want);
  }
});

test('of equal logits the lower ids are kept, as many as top-p asks for', async () => {
  const vocab = 300;
  const logits = new Float32Array(vocab).fill(-40);
  for (const id of [7, 120, 121, 299]) logits[id] = 2;
  const at = async (topP: number, draw: number) => (await choose(logits, 1, [1, topP], [draw]))[0];
  expect(await at(1, 0.01)).toBe(7);
  expect(await at(1, 0.99)).toBe(299);
  expect(await at(0.6, 0.99)).toBe(121); // three of four reach 0.6
  expect(await at(0.6, 0.5)).toBe(120);
  expect(await at(0.5, 0.99)).toBe(120);
  expect(await at(0.1, 0.99)).toBe(7);
  expect((await choose(logits, 1, [0, 1], [0.99]))[0]).toBe(7);
});

test('the largest draw chooses a token that is kept', async () => {
  const logits = values(3, 5000, 3);
  const largest = 1 - 2 ** -24;
  for (const topP of [1, 0.8])
    expect((await choose(logits, 1, [1, topP], [largest]))[0]).toBe(
      reference(logits, 1, topP, largest),
    );
});

test('the reference: a share of the draws equal to its probability goes to each token', () => {
  const logits = [0, Math.log(2), Math.log(5)];
  const counts = [0, 0, 0];
  for (let i = 0; i < 800; i++) counts[reference(logits, 1, 1, (i + 0.5) / 800)]++;
  expect(counts).toEqual([100, 200, 500]);
});
