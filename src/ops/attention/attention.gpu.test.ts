// RoPE and attention against float64 at odd sizes, one document a row and several; attention
// against a cache equals attention over the whole.
import { expect, test } from 'vitest';
import type { Choice } from '../../gpu/variants.ts';
import { tensor } from '../../graph/tensor.ts';
import {
  type AttentionSize,
  attention as reference,
  rope as ropeReference,
} from '../../reference/attention.ts';
import {
  expectClose,
  type Inputs,
  type OpRun,
  runOp,
  testVariants,
  values,
} from '../../testing/gpu.ts';
import { expectGradient, inner } from '../../testing/gradient.ts';
import { attention, attentions, type Cache, rope, ropeIntoCache } from './attention.ts';

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
  const window = { ...size, window: 2 };
  const near = reference(q, k, v, window, dO);
  expectGradient((at) => inner(reference(at, k, v, window).o, dO), q, near.dq);
  expectGradient((at) => inner(reference(q, k, at, window).o, dO), v, near.dv);
  expect(Array.from(near.o).slice(0, 8)).toEqual(Array.from(g.o).slice(0, 8));
  expect(near.o[8]).not.toBe(g.o[8]);
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

interface Case extends AttentionSize {
  documents: readonly (readonly number[])[];
}

/** Output and gradients of one attention of q, k, v and dO. */
function runAttention(
  { documents, ...size }: Case,
  [q, k, v, dO]: Float32Array<ArrayBuffer>[],
  run: Partial<OpRun>,
) {
  const { rows, seqLen, heads, kvHeads, headDim, window } = size;
  const tokens = rows * seqLen;
  return runOp({
    ...run,
    training: true,
    inputs: {
      q: { shape: [tokens, heads * headDim], data: q },
      k: { shape: [tokens, kvHeads * headDim], data: k },
      v: { shape: [tokens, kvHeads * headDim], data: v },
      dO: { shape: [tokens, heads * headDim], data: dO },
      positions: { shape: [tokens], data: positionsOf(documents, seqLen) },
    },
    record: (rec, t) => {
      const span = { rows, seqLen, positions: t.positions };
      const o = attention(rec, t.q, t.k, t.v, span, size, undefined, window);
      rec.aliasGrad(o, t.dO);
      rec.backward();
      return { o, dq: rec.gradOf(t.q)!, dk: rec.gradOf(t.k)!, dv: rec.gradOf(t.v)! };
    },
  });
}

/** Holds output and gradients of one attention to the reference. */
async function check(c: Case, run: Partial<OpRun>): Promise<void> {
  const { rows, seqLen, heads, kvHeads, headDim } = c;
  const [wide, narrow] = [heads, kvHeads].map((n) => rows * seqLen * n * headDim);
  const [q, k, v, dO] = [
    values(1, wide, 2),
    values(2, narrow, 2),
    values(3, narrow),
    values(4, wide),
  ];
  const want = reference(q, k, v, c, dO, positionsOf(c.documents, seqLen));
  const out = await runAttention(c, [q, k, v, dO], run);
  expectClose(out.o, want.o, 2e-6, 'o');
  expectClose(out.dq, want.dq, 5e-6, 'dq');
  expectClose(out.dk, want.dk, 5e-6, 'dk');
  expectClose(out.dv, want.dv, 5e-6, 'dv');
}

const cases: Case[] = [
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
  // Head sizes from the smallest, and one block of keys to several.
  { rows: 2, seqLen: 15, heads: 2, kvHeads: 1, headDim: 1, documents: [[15], [4, 8]] },
  { rows: 2, seqLen: 65, heads: 3, kvHeads: 1, headDim: 64, documents: [[65], [34, 2, 20]] },
  { rows: 1, seqLen: 17, heads: 2, kvHeads: 2, headDim: 80, documents: [[17]] },
  // Windows: of one key, within a block, over blocks and documents.
  { rows: 1, seqLen: 17, heads: 2, kvHeads: 1, headDim: 3, documents: [[17]], window: 1 },
  { rows: 2, seqLen: 65, heads: 2, kvHeads: 2, headDim: 10, documents: [[65], [40, 9]], window: 7 },
  { rows: 1, seqLen: 101, heads: 5, kvHeads: 1, headDim: 4, documents: [[101]], window: 40 },
];
for (const { documents, ...size } of cases) {
  const title = `attention ${JSON.stringify(size)}, documents of ${JSON.stringify(documents)}`;
  testVariants(attentions, title, (kernels) => check({ documents, ...size }, { kernels }));
}

// Large heads are not tried in a thread's registers, which take half a minute to compile.
test.each([
  [64, 16],
  [128, 16],
  [128, 32],
  [256, 16],
  [256, 32],
])('attention in blocks, heads of %i, in %i KiB', (headDim, size) =>
  check(
    { rows: 1, seqLen: 33, heads: 3, kvHeads: 1, headDim, documents: [[20, 13]] },
    { kernels: { attention: 'block' }, traits: { workgroupBytes: size * 1024 } },
  ),
);

test.each([
  ['thread', 'block'],
  ['block', 'thread'],
])('attention forward by %s and backward by %s', (forward, backward) =>
  check(
    { rows: 2, seqLen: 35, heads: 4, kvHeads: 2, headDim: 12, documents: [[3, 32], [35]] },
    { kernels: { 'attention/forward': forward, 'attention/backward': backward } },
  ),
);

// A block that a query needs nothing of is not read: what is no number there changes nothing.
for (const { title, documents, bad, good, window } of [
  { title: 'the document before', documents: [64, 64], bad: [0, 64], good: [64, 128] },
  { title: 'the document after', documents: [64, 32, 32], bad: [96, 128], good: [0, 64] },
  { title: 'what the window hides', documents: [128], bad: [0, 64], good: [96, 128], window: 32 },
])
  testVariants(attentions, `${title} is skipped in whole blocks`, async (kernels) => {
    const size = { rows: 1, seqLen: 128, heads: 1, kvHeads: 1, headDim: 4, window };
    const of = (seed: number) => values(seed, 128 * 4, 2);
    const want = reference(of(1), of(2), of(3), size, of(4), positionsOf([documents], 128));
    const spoil = (x: Float32Array<ArrayBuffer>) => x.fill(NaN, bad[0] * 4, bad[1] * 4);
    const out = await runAttention(
      { documents: [documents], ...size },
      [1, 2, 3, 4].map(of).map(spoil),
      {
        kernels,
      },
    );
    const part = (x: ArrayLike<number>) => Array.from(x).slice(good[0] * 4, good[1] * 4);
    for (const name of ['o', 'dq', 'dk', 'dv'] as const)
      expectClose(part(out[name]), part(want[name]), 5e-6, name);
  });

test('rope rotates q and k in place and its backward rotates their gradients back', async () => {
  const [rows, seqLen, headDim, positions] = [2, 5, 6, 12];
  const size = { heads: 3, kvHeads: 1, headDim };
  const angle = (i: number) => Math.floor(i / 3) * (i % 3 === 0 ? 1 : i % 3 === 1 ? 0.1 : 0.01);
  const cosines = Float32Array.from({ length: positions * 3 }, (_, i) => Math.cos(angle(i)));
  const sines = Float32Array.from({ length: positions * 3 }, (_, i) => Math.sin(angle(i)));
  const at = Uint32Array.from([0, 1, 2, 3, 4, 6, 7, 0, 1, 11]);
  const input = (seed: number, heads: number) => ({
    shape: [rows * seqLen, heads * headDim],
    data: values(seed, rows * seqLen * heads * headDim),
  });
  const inputs = { q: input(1, 3), dq: input(2, 3), k: input(3, 1), dk: input(4, 1) };
  const out = await runOp({
    training: true,
    inputs: {
      ...inputs,
      cosines: { shape: [positions, 3], data: cosines },
      sines: { shape: [positions, 3], data: sines },
      at: { shape: [rows * seqLen], data: at },
    },
    record: (rec, { q, k, dq, dk, cosines, sines, at }) => {
      rope(rec, q, k, { cosines, sines }, { rows, seqLen, positions: at }, size);
      rec.aliasGrad(q, dq);
      rec.aliasGrad(k, dk);
      rec.backward();
      return { q, k, dq, dk };
    },
  });
  for (const name of ['q', 'k', 'dq', 'dk'] as const) {
    const [heads, direction] = [name.endsWith('q') ? 3 : 1, name.startsWith('d') ? -1 : 1];
    const { data } = inputs[name];
    const want = ropeReference(data, cosines, sines, at, heads, headDim, direction);
    expectClose(out[name], want, 1e-6, name);
  }
});

test('rope into a cache: q and k rotated, v as it is, each at its position', async () => {
  const [rows, seqLen, headDim, capacity] = [2, 3, 4, 5];
  const size = { heads: 2, kvHeads: 1, headDim };
  const cosines = values(1, capacity * 2);
  const sines = values(2, capacity * 2);
  const at = Uint32Array.from([1, 2, 3, 0, 1, 9]); // 9 lies beyond the cache
  const input = (seed: number, heads: number) => ({
    shape: [rows * seqLen, heads * headDim],
    data: values(seed, rows * seqLen * heads * headDim),
  });
  const inputs = { q: input(3, 2), k: input(4, 1), v: input(5, 1) };
  const out = await runOp({
    inputs: {
      ...inputs,
      cosines: { shape: [capacity, 2], data: cosines },
      sines: { shape: [capacity, 2], data: sines },
      at: { shape: [rows * seqLen], data: at },
    },
    record: (rec, { q, k, v, cosines, sines, at }) => {
      const shape = [rows, capacity, headDim];
      const cache = { keys: tensor('keys', shape), values: tensor('values', shape) };
      rec.clear(cache.keys);
      rec.clear(cache.values);
      const span = { rows, seqLen, positions: at };
      ropeIntoCache(rec, { q, k, v }, { cosines, sines }, span, size, cache);
      return { q, ...cache };
    },
  });
  const turned = (name: 'q' | 'k', heads: number) =>
    ropeReference(
      inputs[name].data,
      cosines,
      sines,
      at.map((p) => Math.min(p, 4)),
      heads,
      headDim,
    );
  expectClose(out.q, turned('q', 2), 1e-6, 'q');
  const placed = (x: ArrayLike<number>) => {
    const cache = new Float64Array(rows * capacity * headDim);
    at.forEach((position, token) => {
      if (position >= capacity) return;
      const to = (Math.floor(token / seqLen) * capacity + position) * headDim;
      for (let i = 0; i < headDim; i++) cache[to + i] = x[token * headDim + i];
    });
    return cache;
  };
  expectClose(out.keys, placed(turned('k', 1)), 1e-6, 'keys');
  expectClose(out.values, placed(inputs.v.data), 0, 'values');
});

/** Tokens from and to, of rows of seqLen tokens of a width. */
const slice = (
  x: ArrayLike<number>,
  size: AttentionSize,
  from: number,
  to: number,
  width: number,
) =>
  Float32Array.from({ length: size.rows * (to - from) * width }, (_, i) => {
    const [row, rest] = [Math.floor(i / ((to - from) * width)), i % ((to - from) * width)];
    return x[(row * size.seqLen + from) * width + rest];
  });

/** Attention over the whole, and in pieces that end at `ends` against a cache of a capacity. */
async function inPieces(kernels: Choice, size: AttentionSize, ends: number[], capacity: number) {
  const { rows, seqLen, heads, kvHeads, headDim, window } = size;
  const widths = { q: heads * headDim, k: kvHeads * headDim, v: kvHeads * headDim };
  const whole = {
    q: values(1, rows * seqLen * widths.q, 2),
    k: values(2, rows * seqLen * widths.k, 2),
    v: values(3, rows * seqLen * widths.v),
  };
  const starts = [0, ...ends.slice(0, -1)];
  const piece = (label: string, from: number, to: number): Inputs => {
    const count = rows * (to - from);
    const part = (name: 'q' | 'k' | 'v') => ({
      shape: [count, widths[name]],
      data: slice(whole[name], size, from, to, widths[name]),
    });
    const data = Uint32Array.from({ length: count }, (_, i) => from + (i % (to - from)));
    return {
      [`q${label}`]: part('q'),
      [`k${label}`]: part('k'),
      [`v${label}`]: part('v'),
      [`at${label}`]: { shape: [count], data },
    };
  };
  const inputs = starts.map((from, i) => piece(String(i), from, ends[i]));
  /** All keys or values in place from the start: a query sees none after its own. */
  const cached = (x: Float32Array) => {
    const data = new Float32Array(rows * capacity * widths.k).fill(1e9);
    const length = seqLen * widths.k;
    for (let row = 0; row < rows; row++)
      data.set(x.subarray(row * length, (row + 1) * length), row * capacity * widths.k);
    return { shape: [rows, capacity, widths.k], data };
  };
  const out = await runOp({
    kernels,
    inputs: Object.assign(piece('', 0, seqLen), ...inputs, {
      keys: cached(whole.k),
      values: cached(whole.v),
    }),
    record: (rec, t) => {
      const { keys, values } = t;
      const read = (label: string, length: number, into?: Cache) => {
        const span = { rows, seqLen: length, positions: t[`at${label}`] };
        const [q, k, v] = ['q', 'k', 'v'].map((name) => t[`${name}${label}`]);
        return attention(rec, q, k, v, span, size, into, window);
      };
      const pieces = starts.map((from, i) => {
        const o = read(String(i), ends[i] - from, { keys, values });
        return [`o${i}`, o];
      });
      return { ...Object.fromEntries(pieces), whole: read('', seqLen) };
    },
  });
  const want = reference(whole.q, whole.k, whole.v, size).o;
  expectClose(out.whole, want, 2e-6, 'whole');
  starts.forEach((from, i) => {
    expect(out[`o${i}`], `to ${ends[i]}`).toEqual(slice(out.whole, size, from, ends[i], widths.q));
  });
  return out.whole;
}

const pieces = 'attention against a cache, in pieces, equals attention over the whole, bit for bit';
for (const { capacity, ends, ...size } of [
  { rows: 2, seqLen: 7, heads: 2, kvHeads: 1, headDim: 4, ends: [4, 7], capacity: 9 },
  // Keys split over workgroups: pieces of one token and a few, of one block and of several.
  {
    rows: 2,
    seqLen: 75,
    heads: 9,
    kvHeads: 3,
    headDim: 8,
    ends: [1, 63, 64, 67, 75],
    capacity: 96,
  },
  { rows: 1, seqLen: 70, heads: 2, kvHeads: 1, headDim: 80, ends: [66, 67, 70], capacity: 300 },
  {
    rows: 1,
    seqLen: 70,
    heads: 2,
    kvHeads: 1,
    headDim: 7,
    ends: [9, 66, 70],
    capacity: 80,
    window: 34,
  },
])
  testVariants(
    attentions,
    `${pieces}: ${JSON.stringify({ ...size, ends, capacity })}`,
    async (kernels) => {
      await inPieces(kernels, size, ends, capacity);
    },
  );

testVariants(
  attentions,
  'a row of a batch is answered as it is alone, bit for bit',
  async (kernels) => {
    const size = { seqLen: 40, heads: 4, kvHeads: 2, headDim: 12 };
    const three = await inPieces(kernels, { rows: 3, ...size }, [39, 40], 64);
    const alone = await inPieces(kernels, { rows: 1, ...size }, [39, 40], 64);
    expect(three.slice(0, alone.length)).toEqual(alone);
  },
);
