// The language-model head with masked cross-entropy, in chunks of rows, so that N × V logits never
// exist.
import sumCode from '../../shaders/loss/sum_losses.wgsl?raw';
import { constantsOf, defineKernel } from '../gpu/kernel.ts';
import { run } from '../graph/family.ts';
import type { Recorder } from '../graph/recorder.ts';
import { sizeOf, type Tensor, tensor } from '../graph/tensor.ts';
import { headInputGradient, headLogits } from './product/head.ts';
import { rowReductions } from './rows/rows.ts';

const sumKernel = defineKernel('sum_losses', sumCode);

/** Floats of the statistics state, as shaders/lib/statistics.wgsl places them. */
export const STATISTICS = constantsOf('statistics', [
  'crossEntropy',
  'tokens',
  'balance',
  'gradNorm',
  'clip',
  'sentinel',
  'size',
]);

/** A target that carries no loss. */
export const NO_TARGET = 0xffffffff;

/**
 * Cross-entropy of x·headᵀ against targets, summed into the statistics. In training ∂(CE/tokens of
 * the batch)/∂x is made in the same pass.
 * @param x (M, C), the rows that carry loss
 * @param head (V, C), frozen, in shards of rows
 * @param targets (M), u32; NO_TARGET carries no loss
 * @param statistics state of STATISTICS.size floats
 * @param chunk rows of logits at a time
 * @returns losses (M)
 */
export function headCrossEntropy(
  rec: Recorder,
  x: Tensor,
  head: readonly Tensor[],
  targets: Tensor,
  statistics: Tensor,
  chunk = 128,
): Tensor {
  const [count, width] = x.shape;
  const vocab = head.reduce((sum, t) => sum + t.shape[0], 0);
  const losses = tensor('losses', [count]);
  const gradient = rec.training && x.requiresGrad ? rec.gradTarget(x).grad : null;
  for (let first = 0; first < count; first += chunk) {
    const rows = Math.min(chunk, count - first);
    const logits = tensor(`logits ${first}`, [rows, vocab], { category: 'logits' });
    headLogits(rec, { tensor: x, start: first * width, stride: width }, rows, head, logits);
    run(rec, rowReductions, {
      kernel: 'cross_entropy',
      rows,
      tensors: { targets, logits, losses },
      params: { vocab, first, write_gradient: gradient ? 1 : 0 },
      flops: 6 * rows * vocab,
    });
    if (gradient)
      headInputGradient(rec, logits, rows, head, {
        tensor: gradient,
        start: first * width,
        stride: width,
      });
  }
  rec.launch({
    kernel: sumKernel,
    tensors: { losses, targets, statistics },
    params: { count: sizeOf(losses), vocab },
    workgroups: 1,
  });
  return losses;
}
