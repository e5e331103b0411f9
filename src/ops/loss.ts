// The language-model head with masked cross-entropy, in chunks of rows and windows of columns, so
// that N × V logits never exist.
import gradientCode from '../../shaders/loss/loss_gradient.wgsl?raw';
import sumCode from '../../shaders/loss/sum_losses.wgsl?raw';
import { constantsOf, defineKernel } from '../gpu/kernel.ts';
import { run } from '../graph/family.ts';
import type { Recorder } from '../graph/recorder.ts';
import { sizeOf, type Tensor, tensor } from '../graph/tensor.ts';
import { type Block, blockInputGradient, blockLogits, blocksOf, rowsIn } from './product/head.ts';
import { rowReductions } from './rows/rows.ts';

const gradientKernel = defineKernel('loss_gradient', gradientCode);
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

/** Consecutive blocks of the head, with adjacent logits. */
type Window = readonly Block[];

const widthOf = (window: Window): number => window.reduce((sum, b) => sum + b.columns, 0);

/** Logits at a time: rows of a chunk, columns of a window. */
export interface AtOnce {
  rows: number;
  columns: number;
}

/**
 * Cross-entropy of x·headᵀ against targets, summed into the statistics. In training ∂(CE/tokens of
 * the batch)/∂x is made too. A vocabulary of several windows computes its logits once for
 * the softmax and, except the last window's, again for the gradient.
 * @param x (M, C), the rows that carry loss
 * @param head (V, C), frozen, in shards of rows
 * @param targets (M), u32; NO_TARGET carries no loss
 * @param statistics state of STATISTICS.size floats
 * @returns losses (M)
 */
export function headCrossEntropy(
  rec: Recorder,
  x: Tensor,
  head: readonly Tensor[],
  targets: Tensor,
  statistics: Tensor,
  atOnce: AtOnce,
): Tensor {
  const [count, stride] = x.shape;
  const vocab = rowsIn(head);
  const losses = tensor('losses', [count]);
  const gradient = rec.training && x.requiresGrad ? rec.gradTarget(x).grad : null;
  const windows =
    atOnce.columns < vocab ? blocksOf(head, atOnce.columns).map((b) => [b]) : [blocksOf(head)];
  for (let first = 0; first < count; first += atOnce.rows) {
    const rows = Math.min(atOnce.rows, count - first);
    const shape = [rows, Math.max(...windows.map(widthOf))];
    const logits = tensor(`logits ${first}`, shape, { category: 'logits' });
    const softmax = tensor(`softmax ${first}`, [rows, 2]);
    const of = (t: Tensor) => ({ tensor: t, start: first * stride, stride });
    const place = (window: Window, block: Block) => ({
      tensor: logits,
      start: block.column - window[0].column,
      stride: widthOf(window),
    });
    const paramsOf = (window: Window) => {
      return { columns: widthOf(window), first, column: window[0].column, vocab };
    };
    const compute = (window: Window) => {
      for (const b of window) blockLogits(rec, of(x), rows, b, place(window, b));
    };
    for (const window of windows) {
      compute(window);
      run(rec, rowReductions, {
        kernel: 'log_sum_exp',
        rows,
        tensors: { targets, logits, softmax, losses },
        params: paramsOf(window),
        flops: 4 * rows * widthOf(window),
      });
    }
    if (!gradient) continue;
    let accumulate: 0 | 1 = 0;
    for (const window of [...windows].reverse()) {
      if (window !== windows[windows.length - 1]) compute(window);
      rec.launch({
        kernel: gradientKernel,
        tensors: { targets, softmax, logits },
        params: paramsOf(window),
        workgroups: [Math.ceil(widthOf(window) / 512), rows, 1],
        flops: 4 * rows * widthOf(window),
      });
      for (const b of window) {
        blockInputGradient(rec, place(window, b), rows, b, of(gradient), accumulate);
        accumulate = 1;
      }
    }
  }
  rec.launch({
    kernel: sumKernel,
    tensors: { losses, targets, statistics },
    params: { count: sizeOf(losses), vocab },
    workgroups: 1,
  });
  return losses;
}
