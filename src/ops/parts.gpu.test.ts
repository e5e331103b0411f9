// A long launch in parts computes what it computes in one piece, bit for bit: every variant of
// attention and products.
import { expect } from 'vitest';
import type { Choice } from '../gpu/variants.ts';
import type { Recorder } from '../graph/recorder.ts';
import { tensor } from '../graph/tensor.ts';
import { type OpRun, runOp, testVariants, values } from '../testing/gpu.ts';
import { attention, attentions } from './attention/attention.ts';
import { byColumns, byRows } from './product/case.ts';
import { product, products } from './product/product.ts';

/** Holds a run in parts to one without; `kernels` lists what must have been cut. */
async function compare(run: Omit<OpRun, 'mostFlops'>, mostFlops: number, cuts: number) {
  let cut = 0;
  const counted = (rec: Recorder, t: Parameters<OpRun['record']>[1]) => {
    const out = run.record(rec, t);
    cut = rec.commands.filter((c) => c.type === 'dispatch' && c.parts.length > 1).length;
    return out;
  };
  const whole = await runOp(run);
  const inParts = await runOp({ ...run, mostFlops, record: counted });
  expect(cut).toBe(cuts);
  expect(Object.values(whole).every((x) => x.some((v) => v !== 0))).toBe(true);
  expect(inParts).toEqual(whole);
}

const [tokens, heads, kvHeads, headDim] = [150, 4, 2, 8];
for (const [title, lengths] of [
  ['one document', [150]],
  ['several documents', [50, 70, 30]],
] as const)
  testVariants(attentions, `attention and its gradients, ${title}`, async (kernels: Choice) => {
    const at = lengths.flatMap((n) => Array.from({ length: n }, (_, t) => t));
    const input = (seed: number, width: number) => ({
      shape: [tokens, width],
      data: values(seed, tokens * width, 2),
    });
    const inputs = {
      q: input(1, heads * headDim),
      k: input(2, kvHeads * headDim),
      v: input(3, kvHeads * headDim),
      dO: input(4, heads * headDim),
      positions: { shape: [tokens], data: Uint32Array.from(at) },
    };
    const run: OpRun = {
      kernels,
      training: true,
      inputs,
      record: (rec, { q, k, v, dO, positions }) => {
        const span = { rows: 1, seqLen: tokens, positions, longest: Math.max(...lengths) };
        const o = attention(rec, q, k, v, span, { heads, kvHeads, headDim });
        rec.aliasGrad(o, dO);
        rec.backward();
        return { o, dq: rec.gradOf(q)!, dk: rec.gradOf(k)!, dv: rec.gradOf(v)! };
      },
    };
    const forward = 4 * tokens * heads * (Math.max(...lengths) / 2) * headDim;
    await compare(run, forward / 3, 3);
  });

testVariants(products, 'products by rows and by columns', async (kernels: Choice) => {
  const [m, n, k, rank] = [300, 48, 40, 4];
  const input = (seed: number, ...shape: number[]) => ({
    shape,
    data: values(seed, shape[0] * shape[1]),
  });
  const run: OpRun = {
    kernels,
    inputs: {
      a: input(1, m, k),
      at: input(2, k, m),
      b: input(3, n, k),
      a2: input(4, m, rank),
      b2: input(5, n, rank),
      residual: input(6, m, n),
    },
    record: (rec, t) => {
      const [y, z] = [tensor('y', [m, n]), tensor('z', [m, n])];
      const common = { m, n, k, right: byRows(t.b) };
      product(rec, {
        ...common,
        left: byRows(t.a),
        lowRank: { k: rank, left: byRows(t.a2), right: byRows(t.b2) },
        residual: t.residual,
        out: { tensor: y, stride: n },
      });
      product(rec, { ...common, left: byColumns(t.at), out: { tensor: z, stride: n } });
      return { y, z };
    },
  };
  await compare(run, (2 * m * n * k) / 3, 2);
});
