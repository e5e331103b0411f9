// Dropout.
import dropoutCode from '../../shaders/elementwise/dropout.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import type { Recorder } from '../graph/recorder.ts';
import { sizeOf, type Tensor, tensor } from '../graph/tensor.ts';

const dropoutKernel = defineKernel('dropout', dropoutCode);

/**
 * Inverted dropout of x (tokens, width) with the step's rate (`step.dropout`).
 * @param input names the mask's stream: equal numbers in one micro-batch give equal masks
 * @param places (2·tokens), u32: each token's row and its position there, which with the channel
 *   decide what is dropped, however rows are laid out
 */
export function dropout(rec: Recorder, x: Tensor, input: number, places: Tensor): Tensor {
  const [n, width] = [sizeOf(x), x.shape[1]];
  const out = tensor(`dropout ${x.name}`, x.shape, { requiresGrad: x.requiresGrad });
  const launch = (from: Tensor, to: Tensor, accumulate: number) =>
    rec.launch({
      kernel: dropoutKernel,
      tensors: { x: from, places, out: to },
      params: { n, width, input, accumulate },
      threads: n,
      flops: 2 * n,
    });
  launch(x, out, 0);
  rec.onBackward(() => {
    const grad = rec.gradOf(out);
    if (!grad || !x.requiresGrad) return;
    const target = rec.gradTarget(x);
    launch(grad, target.grad, target.accumulate);
  });
  return out;
}
