// RoPE and attention against float64 at odd sizes, one document a row and several; attention
// against a cache equals attention over the whole.
import { expect, test } from 'vitest';
import { tensor } from '../../graph/tensor.ts';
import { attention as reference, rope as ropeReference } from '../../reference/attention.ts';
import { expectClose, runOp, testVariants, values } from '../../testing/gpu.ts';
import { expectGradient, inner } from '../../testing/gradient.ts';
import { attention, attentions, rope } from './attention.ts';

test('reference: dq, dk and dv are the derivatives', () => {
  const size = { rows: 1, seqLen: 3, heads: 2, kvHeads: 1, headDim: 2 };
  const [q, k, v, dO] = [values(1, 12), values(2, 6), values(3, 6), values(4, 12)];
  const g = reference(q, k, v, size, dO);
  expectGradient((at) => inner(reference(at, k, v, size).o, dO), q, g.dq);
  expectGradient((at) => inner(reference(q, at, v, size).o, dO), k, g.dk);
  expectGradient((at) => inner(reference(q, k, at, size).o, dO), v, g.dv);
  const positions = [0, 0, 1];
  const packed = reference(q, k, v, size, dO, positions);
  expectGradient(
    (at) => inner(reference(q, at, v, size, undefined, positions).o, dO),
    k,
    packed.dk,
  );
});

/**
 * Positions of rows of `seqLen` tokens, each with documents of these lengths and then padding, which
 * is a document a token.
 */
const positionsOf = (
  rows: readonly (readonly number[])[],
  seqLen: number,
): Uint32Array<ArrayBuffer> =>
  Uint32Array.from(
    rows.flatMap((documents) => {
      const all = documents.flatMap((n) => Array.from({ length: n }, (_, t) => t));
      return [...all, ...new Array<number>(seqLen - all.length).fill(0)];
    }),
  );

for (const { documents, ...size } of [
  { rows: 1, seqLen: 1, heads: 1, kvHeads: 1, headDim: 2, documents: [[1]] },
  { rows: 3, seqLen: 13, heads: 6, kvHeads: 2, headDim: 10, documents: [[13], [13], [13]] },
  { rows: 2, seqLen: 33, heads: 3, kvHeads: 3, headDim: 16, documents: [[33], [33]] },
  {
    rows: 3,
    seqLen: 37,
    heads: 4,
    kvHeads: 2,
    headDim: 6,
    documents: [[5, 1, 20, 11], [36], [1, 30]],
  },
  { rows: 2, seqLen: 33, heads: 3, kvHeads: 1, headDim: 8, documents: [[16, 17], []] },
]) {
  const title = `attention ${JSON.stringify(size)}, documents of ${JSON.stringify(documents)}`;
  testVariants(attentions, title, async (kernels) => {
    const { rows, seqLen, heads, kvHeads, headDim } = size;
    const tokens = rows * seqLen;
    const [q, k, v, dO] = [
      values(1, tokens * heads * headDim, 2),
      values(2, tokens * kvHeads * headDim, 2),
      values(3, tokens * kvHeads * headDim),
      values(4, tokens * heads * headDim),
    ];
    const positions = positionsOf(documents, seqLen);
    const want = reference(q, k, v, size, dO, positions);
    const out = await runOp({
      kernels,
      training: true,
      inputs: {
        q: { shape: [tokens, heads * headDim], data: q },
        k: { shape: [tokens, kvHeads * headDim], data: k },
        v: { shape: [tokens, kvHeads * headDim], data: v },
        dO: { shape: [tokens, heads * headDim], data: dO },
        positions: { shape: [tokens], data: positions },
      },
      record: (rec, t) => {
        const o = attention(rec, t.q, t.k, t.v, { rows, seqLen, positions: t.positions }, size);
        rec.aliasGrad(o, t.dO);
        rec.backward();
        return { o, dq: rec.gradOf(t.q)!, dk: rec.gradOf(t.k)!, dv: rec.gradOf(t.v)! };
      },
    });
    expectClose(out.o, want.o, 2e-6, 'o');
    expectClose(out.dq, want.dq, 5e-6, 'dq');
    expectClose(out.dk, want.dk, 5e-6, 'dk');
    expectClose(out.dv, want.dv, 5e-6, 'dv');
  });
}

test('rope rotates in place and its backward rotates back', async () => {
  const [rows, seqLen, heads, headDim, positions] = [2, 5, 3, 6, 12];
  const n = rows * seqLen * heads * headDim;
  const angle = (i: number) => Math.floor(i / 3) * (i % 3 === 0 ? 1 : i % 3 === 1 ? 0.1 : 0.01);
  const cosines = Float32Array.from({ length: positions * 3 }, (_, i) => Math.cos(angle(i)));
  const sines = Float32Array.from({ length: positions * 3 }, (_, i) => Math.sin(angle(i)));
  const at = Uint32Array.from([0, 1, 2, 3, 4, 6, 7, 0, 1, 11]);
  const [x, dx] = [values(1, n), values(2, n)];
  const out = await runOp({
    training: true,
    inputs: {
      x: { shape: [rows * seqLen, heads * headDim], data: x },
      dx: { shape: [rows * seqLen, heads * headDim], data: dx },
      cosines: { shape: [positions, 3], data: cosines },
      sines: { shape: [positions, 3], data: sines },
      at: { shape: [rows * seqLen], data: at },
    },
    record: (rec, t) => {
      rope(
        rec,
        t.x,
        { cosines: t.cosines, sines: t.sines },
        { rows, seqLen, positions: t.at },
        heads,
      );
      rec.aliasGrad(t.x, t.dx);
      rec.backward();
      return { x: t.x, dx: t.dx };
    },
  });
  expectClose(out.x, ropeReference(x, cosines, sines, at, heads, headDim), 1e-6, 'forward');
  expectClose(out.dx, ropeReference(dx, cosines, sines, at, heads, headDim, -1), 1e-6, 'backward');
});

const pieces = 'attention against a cache, in pieces, equals attention over the whole, bit for bit';
testVariants(attentions, pieces, async (kernels) => {
  const size = { rows: 2, seqLen: 7, heads: 2, kvHeads: 1, headDim: 4 };
  const { rows, seqLen, heads, kvHeads, headDim } = size;
  const [q, k, v] = [
    values(1, rows * seqLen * heads * headDim),
    values(2, rows * seqLen * headDim),
    values(3, rows * seqLen * headDim),
  ];
  const slice = (x: Float32Array, from: number, to: number, width: number) =>
    Float32Array.from({ length: rows * (to - from) * width }, (_, i) => {
      const [row, rest] = [Math.floor(i / ((to - from) * width)), i % ((to - from) * width)];
      return x[(row * seqLen + from) * width + rest];
    });
  const piece = (from: number, to: number) => ({
    [`q${from}`]: {
      shape: [rows * (to - from), heads * headDim],
      data: slice(q, from, to, heads * headDim),
    },
    [`k${from}`]: { shape: [rows * (to - from), headDim], data: slice(k, from, to, headDim) },
    [`v${from}`]: { shape: [rows * (to - from), headDim], data: slice(v, from, to, headDim) },
    [`s${from}`]: {
      shape: [rows * (to - from)],
      data: Uint32Array.from({ length: rows * (to - from) }, (_, i) => from + (i % (to - from))),
    },
  });
  const out = await runOp({
    kernels,
    inputs: {
      ...piece(0, 4),
      ...piece(4, 7),
      q: { shape: [rows * seqLen, heads * headDim], data: q },
      k: { shape: [rows * seqLen, headDim], data: k },
      v: { shape: [rows * seqLen, headDim], data: v },
      s: { shape: [rows * seqLen], data: positionsOf([[seqLen], [seqLen]], seqLen) },
    },
    record: (rec, t) => {
      const cache = {
        keys: tensor('keys', [rows, 9, headDim]),
        values: tensor('values', [rows, 9, headDim]),
      };
      const heads_ = { heads, kvHeads, headDim };
      const first = attention(
        rec,
        t.q0,
        t.k0,
        t.v0,
        { rows, seqLen: 4, positions: t.s0 },
        heads_,
        cache,
      );
      const second = attention(
        rec,
        t.q4,
        t.k4,
        t.v4,
        { rows, seqLen: 3, positions: t.s4 },
        heads_,
        cache,
      );
      return {
        first,
        second,
        whole: attention(rec, t.q, t.k, t.v, { rows, seqLen, positions: t.s }, heads_),
      };
    },
  });
  expect(out.first).toEqual(slice(out.whole, 0, 4, heads * headDim));
  expect(out.second).toEqual(slice(out.whole, 4, 7, heads * headDim));
});
