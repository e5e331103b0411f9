// Embedding lookup in each packing, whole and in shards, and row picking both ways.
import { test } from 'vitest';
import { gatherRows as reference, scatterRows } from '../reference/embed.ts';
import { blockTypes, randomBlocks } from '../testing/blocks.ts';
import { expectClose, runOp, values } from '../testing/gpu.ts';
import { blockFormats } from '../util/blocks.ts';
import { bf16ArrayToF32, f16ArrayToF32, f32ArrayToBf16, f32ArrayToF16 } from '../util/f16.ts';
import { embed, gatherRows, NO_ROW } from './embed.ts';

const words = (half: Uint16Array): Uint32Array<ArrayBuffer> => {
  const padded = new Uint16Array(Math.ceil(half.length / 2) * 2);
  padded.set(half);
  return new Uint32Array(padded.buffer);
};

test('embed reads f32, f16 and bf16 tables of odd width', async () => {
  const [vocab, width] = [11, 7];
  const table = values(1, vocab * width);
  const ids = Uint32Array.from([3, 0, 10, 3]);
  const tables = [
    { dtype: 'f32' as const, data: table, exact: table },
    {
      dtype: 'f16' as const,
      data: words(f32ArrayToF16(table)),
      exact: f16ArrayToF32(f32ArrayToF16(table)),
    },
    {
      dtype: 'bf16' as const,
      data: words(f32ArrayToBf16(table)),
      exact: bf16ArrayToF32(f32ArrayToBf16(table)),
    },
  ];
  for (const { dtype, data, exact } of tables) {
    const out = await runOp({
      inputs: { ids: { shape: [4], data: ids }, table: { shape: [vocab, width], data, dtype } },
      record: (rec, t) => ({ y: embed(rec, t.ids, [t.table]) }),
    });
    expectClose(out.y, reference(exact, ids, width), 0, dtype);
  }
});

for (const type of blockTypes) {
  test(`embed reads a ${type} table, whole and in shards`, async () => {
    const [vocab, width] = [11, 2 * blockFormats[type].elements];
    const ids = Uint32Array.from([3, 0, 10, 3, 6, 7, 99]); // an id outside is the last row
    const { words, values: exact } = randomBlocks(type, 1, vocab * width);
    const rowWords = words.length / vocab;
    const out = await runOp({
      inputs: {
        ids: { shape: [7], data: ids },
        table: { shape: [vocab, width], data: words, dtype: type },
        first: { shape: [7, width], data: words.slice(0, 7 * rowWords), dtype: type },
        rest: { shape: [4, width], data: words.slice(7 * rowWords), dtype: type },
      },
      record: (rec, t) => ({
        whole: embed(rec, t.ids, [t.table]),
        shards: embed(rec, t.ids, [t.first, t.rest]),
      }),
    });
    const want = reference(
      exact,
      ids.map((id) => Math.min(id, vocab - 1)),
      width,
    );
    expectClose(out.whole, want, 1e-7, 'whole');
    expectClose(out.shards, want, 1e-7, 'shards');
  });
}

test('gathered rows and their way back', async () => {
  const [n, width] = [9, 5];
  const [x, dy] = [values(1, n * width), values(2, 4 * width)];
  const index = Uint32Array.from([8, NO_ROW, 0, 3]);
  const out = await runOp({
    training: true,
    inputs: {
      x: { shape: [n, width], data: x },
      index: { shape: [4], data: index },
      dy: { shape: [4, width], data: dy },
    },
    record: (rec, t) => {
      const y = gatherRows(rec, t.x, t.index);
      rec.aliasGrad(y, t.dy);
      rec.backward();
      return { y, dx: rec.gradOf(t.x)! };
    },
  });
  expectClose(out.y, reference(x, index, width), 0);
  expectClose(out.dx, scatterRows(dy, index, width, n), 0);
});
