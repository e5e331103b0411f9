// Packed documents never see each other: each token has the loss that it has alone. Choices by
// likelihood.

import { expect, test } from 'vitest';
import { siteDims } from '../allocation/allocation.ts';
import { packRow, packRows } from '../data/batching/pack.ts';
import { readAll } from '../data/source.ts';
import { openSafetensors, readF32, readTensor } from '../data/weights/safetensors.ts';
import { readAdapter } from '../files/adapter-files.ts';
import { forwardLogits } from '../model/forward.ts';
import { goldenModel, owned } from '../testing/fixtures.ts';
import { goldenFolder } from '../testing/golden.ts';
import { relativeError, values } from '../testing/gpu.ts';
import { alike, lossTokens, microBatch, type Row } from './batch.ts';
import { choiceScores } from './evaluate.ts';
import { shapeOf } from './run-rows.ts';
import { Runtime } from './runtime.ts';

async function fixture(name: string) {
  const folder = await goldenFolder(name);
  const model = await goldenModel(name);
  const adapter = await readAdapter(
    await goldenFolder(`${name}/adapter`),
    model.config.layers,
    siteDims(model.config),
  );
  owned(adapter.layout.store).allocate(model.gpu, adapter.values);
  const text = new TextDecoder().decode(await readAll(folder.open('data.jsonl')!));
  const rows = text
    .trim()
    .split('\n')
    .map((l) => JSON.parse(l) as { input_ids: number[]; labels: number[] })
    .map((r): Row => ({ ids: r.input_ids, labels: r.labels }));
  return { folder, model, layout: adapter.layout, rows };
}

/** Losses of every labelled token, row by row. */
async function losses(
  { model, layout }: Awaited<ReturnType<typeof fixture>>,
  rows: readonly Row[],
  perBatch: number,
): Promise<number[][]> {
  const shape = shapeOf(rows, perBatch);
  const runtime = owned(
    await Runtime.create(model, layout, alike(shape), {
      dropout: false,
      evaluateOnly: true,
    }),
  );
  const out: number[][] = [];
  for (let at = 0; at < rows.length; at += perBatch) {
    const part = rows.slice(at, at + perBatch);
    runtime.evaluate(microBatch(part, shape));
    const all = await runtime.readLosses();
    let first = 0;
    for (const row of part) {
      out.push([...all.subarray(first, first + lossTokens(row))]);
      first += lossTokens(row);
    }
  }
  return out;
}

test('every token of a packed document has the loss that it has alone (1e-5)', async () => {
  const f = await fixture('train-moe');
  const alone = await losses(f, f.rows, 1);
  const numbers = packRows(
    f.rows.map((r) => r.ids.length),
    96,
  );
  expect(Math.max(...numbers.map((n) => n.length))).toBeGreaterThan(2);
  const together = await losses(
    f,
    numbers.map((n) => packRow(f.rows, n, 96)),
    numbers.length,
  );
  let compared = 0;
  numbers.forEach((documents, row) => {
    const want = documents.flatMap((n) => alone[n]);
    expect(together[row].length).toBe(want.length);
    want.forEach((loss, i) => {
      expect(Math.abs(together[row][i] - loss)).toBeLessThanOrEqual(1e-5);
      compared++;
    });
  });
  expect(compared).toBe(f.rows.reduce((sum, r) => sum + lossTokens(r), 0));
  // As one document the same tokens have other losses.
  const merged = numbers.map((n) => ({ ...packRow(f.rows, n, 96), positions: undefined }));
  const seen = await losses(f, merged, merged.length);
  expect(relativeError(seen.flat(), together.flat())).toBeGreaterThan(1e-3);
});

/** log p of ids[t] for t from `from` to `to`, in float64, out of logits (T, V). */
function likelihood(
  logits: Float32Array,
  vocab: number,
  ids: ArrayLike<number>,
  from: number,
  to: number,
): number {
  let sum = 0;
  for (let t = from; t < to; t++) {
    const row = logits.subarray((t - 1) * vocab, t * vocab);
    const top = row.reduce((a, b) => Math.max(a, b));
    const total = row.reduce((a, b) => a + Math.exp(b - top), 0);
    sum += row[ids[t]] - top - Math.log(total);
  }
  return sum;
}

test('likelihoods of choices are those of PEFT’s logits, whatever their length and batch', async () => {
  const { folder, model, layout } = await fixture('train-lora');
  const { entries } = await openSafetensors(folder.open('golden.safetensors')!);
  const idsEntry = entries.get('input_ids')!;
  const [count, seqLen] = idsEntry.shape;
  const raw = new Int32Array((await readTensor(idsEntry)).slice().buffer);
  const logits = await readF32(entries.get('logits')!);
  const { vocab } = model.config;
  const choice = (ids: readonly number[], from: number): Row => ({
    ids,
    labels: ids.map((id, t) => (t < from ? -100 : id)),
  });
  const prompt = 5;
  const golden = Array.from({ length: count }, (_, r) =>
    Array.from(raw.subarray(r * seqLen, (r + 1) * seqLen)),
  );
  // Of each of PEFT's rows, choices of falling length that go on from the same prompt.
  const ends = [seqLen, 9, 6];
  const questions = golden.map((ids) => ends.map((end) => choice(ids.slice(0, end), prompt)));
  const scores = await choiceScores(model, layout, questions, 4);
  scores.forEach(({ sums, means }, r) => {
    const own = logits.subarray(r * seqLen * vocab, (r + 1) * seqLen * vocab);
    ends.forEach((end, i) => {
      const want = likelihood(own, vocab, golden[r], prompt, end);
      expect(Math.abs(sums[i] - want)).toBeLessThan(1e-3);
      expect(Math.abs(means[i] - want / (end - prompt))).toBeLessThan(1e-4);
    });
  });
  // Choices that differ from their first token on, against the engine's own logits of each.
  const others = Array.from({ length: 3 }, (_, i) => [
    ...golden[0].slice(0, prompt),
    ...values(i + 1, 4).map((v) => Math.floor(Math.abs(v) * vocab)),
  ]);
  const [{ sums }] = await choiceScores(
    model,
    layout,
    [others.map((ids) => choice(ids, prompt))],
    2,
  );
  for (const [i, ids] of others.entries()) {
    const own = await forwardLogits(model, layout, [ids]);
    expect(Math.abs(sums[i] - likelihood(own, vocab, ids, prompt, ids.length))).toBeLessThan(1e-4);
  }
  await expect(choiceScores(model, layout, [[choice([1, 2], 2)]], 1)).rejects.toThrow(
    'Question 1, choice 1: none of its tokens is labelled.',
  );
});
