// Chunked head and cross-entropy against float64, and the reference against finite differences.
import { expect, test } from 'vitest';
import { tensor } from '../graph/tensor.ts';
import { crossEntropy } from '../reference/loss.ts';
import { matmul } from '../reference/product.ts';
import { expectClose, runOp, testVariants, values } from '../testing/gpu.ts';
import { expectGradient } from '../testing/gradient.ts';
import { headCrossEntropy, NO_TARGET, STATISTICS } from './loss.ts';
import { rowReductions } from './rows/rows.ts';

test('reference: the gradient is the derivative', () => {
  const logits = values(1, 3 * 5, 3);
  const targets = [4, NO_TARGET, 0];
  const { gradient } = crossEntropy(logits, targets, 5, 0.5);
  expectGradient(
    (at) => 0.5 * crossEntropy(at, targets, 5, 1).losses.reduce((a, b) => a + b, 0),
    logits,
    gradient,
  );
});

for (const [chunk, columns, shard] of [
  [4, 131, 131],
  [64, 131, 64],
  [7, 40, 131],
  [64, 50, 64],
]) {
  const title = `head and cross-entropy, ${chunk} rows and ${columns} columns at a time, the head in shards of ${shard}`;
  testVariants(rowReductions, title, async (kernels) => {
    const [rows, width, vocab] = [10, 9, 131];
    const [x, head] = [values(1, rows * width, 3), values(2, vocab * width)];
    const targets = Uint32Array.from({ length: rows }, (_, i) =>
      i % 4 === 1 ? NO_TARGET : (i * 37) % vocab,
    );
    const count = targets.filter((t) => t !== NO_TARGET).length;
    const logits = matmul(
      rows,
      vocab,
      width,
      (m, k) => x[m * width + k],
      (k, n) => head[n * width + k],
    );
    const want = crossEntropy(logits, targets, vocab, 1 / count);
    const dx = matmul(
      rows,
      width,
      vocab,
      (m, k) => want.gradient[m * vocab + k],
      (k, n) => head[k * width + n],
    );
    const out = await runOp({
      kernels,
      training: true,
      step: { inverse_tokens: 1 / count, number: 12 },
      inputs: {
        x: { shape: [rows, width], data: x },
        first: { shape: [shard, width], data: head.slice(0, shard * width), grad: false },
        rest: { shape: [vocab - shard, width], data: head.slice(shard * width), grad: false },
        targets: { shape: [rows], data: targets },
      },
      record: (rec, t) => {
        const statistics = tensor('statistics', [STATISTICS.size]);
        rec.clear(statistics);
        const losses = headCrossEntropy(
          rec,
          t.x,
          shard < vocab ? [t.first, t.rest] : [t.first],
          t.targets,
          statistics,
          { rows: chunk, columns },
        );
        return { losses, statistics, dx: rec.gradOf(t.x)! };
      },
    });
    expectClose(out.losses, want.losses, 2e-6, 'losses');
    expectClose(out.dx, dx, 5e-6, 'dx');
    expect(out.statistics[STATISTICS.tokens]).toBe(count);
    expect(out.statistics[STATISTICS.sentinel]).toBe(12);
    expect(out.statistics[STATISTICS.crossEntropy]).toBeCloseTo(
      want.losses.reduce((a, b) => a + b, 0),
      3,
    );
  });
}

const tail =
  'the tail of a large vocabulary counts, although each of its terms is lost beside the largest one';
testVariants(rowReductions, tail, async (kernels) => {
  const vocab = 49_152;
  const head = new Float32Array(vocab).fill(-17);
  head[0] = 0;
  const want = Math.log1p((vocab - 1) * Math.exp(-17));
  const { losses } = await runOp({
    kernels,
    training: false,
    step: {},
    inputs: {
      x: { shape: [1, 1], data: Float32Array.of(1) },
      head: { shape: [vocab, 1], data: head, grad: false },
      targets: { shape: [1], data: Uint32Array.of(0) },
    },
    record: (rec, t) => {
      const statistics = tensor('statistics', [STATISTICS.size]);
      rec.clear(statistics);
      const atOnce = { rows: 1, columns: vocab };
      return { losses: headCrossEntropy(rec, t.x, [t.head], t.targets, statistics, atOnce) };
    },
  });
  expect(Math.abs(losses[0] - want)).toBeLessThan(1e-5);
});
