// RMSNorm and its input gradient.
import { run } from '../graph/family.ts';
import type { Recorder } from '../graph/recorder.ts';
import { sizeOf, type Tensor, tensor } from '../graph/tensor.ts';
import { rowReductions } from './rows/rows.ts';

/**
 * y = x · weight / rms(x) over the last `width` elements (Zhang & Sennrich 2019, eq. 4).
 * @param x (…, width), any shape whose size is a multiple of width
 * @param weight (width), frozen
 */
export function rmsNorm(rec: Recorder, x: Tensor, weight: Tensor, eps: number): Tensor {
  const width = weight.shape[0];
  const rows = sizeOf(x) / width;
  const y = tensor(`norm ${weight.name}`, x.shape, { requiresGrad: x.requiresGrad });
  const inverse_rms = tensor(`1/rms ${weight.name}`, [rows]);
  run(rec, rowReductions, {
    kernel: 'rms_norm',
    rows,
    tensors: { x, weight, y, inverse_rms },
    params: { width, eps },
    flops: 4 * rows * width,
  });
  rec.onBackward(() => {
    const dy = rec.gradOf(y);
    if (!dy || !x.requiresGrad) return;
    const { grad: dx, accumulate } = rec.gradTarget(x);
    run(rec, rowReductions, {
      kernel: 'rms_norm_backward',
      rows,
      tensors: { x, weight, inverse_rms, dy, dx },
      params: { width, accumulate },
      flops: 8 * rows * width,
    });
  });
  return y;
}
