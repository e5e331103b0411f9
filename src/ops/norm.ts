// RMSNorm and its input gradient.

import forwardCode from '../../shaders/norm/rms_norm.wgsl?raw';
import backwardCode from '../../shaders/norm/rms_norm_backward.wgsl?raw';
import { defineKernel, type Kernel } from '../gpu/kernel.ts';
import type { Recorder } from '../graph/recorder.ts';
import { sizeOf, type Tensor, tensor } from '../graph/tensor.ts';

export const entries = (name: string, code: string, threads = 64) => ({
  thread: defineKernel(`${name} (thread)`, code, { uses: ['rows/thread'], constants: { threads } }),
  workgroup: defineKernel(`${name} (workgroup)`, code, { uses: ['rows/workgroup'] }),
});
const forward = entries('rms_norm', forwardCode);
const backward = entries('rms_norm_backward', backwardCode);

/** Launches a row reduction in the run's variant. */
export function launchRows(
  rec: Recorder,
  kernels: { thread: Kernel; workgroup: Kernel },
  rows: number,
  tensors: Record<string, Tensor>,
  params: Record<string, number>,
  flops: number,
  threads = 64,
): void {
  const perThread = rec.variants.rows === 'thread';
  rec.launch({
    kernel: perThread ? kernels.thread : kernels.workgroup,
    tensors,
    params,
    workgroups: perThread ? Math.ceil(rows / threads) : rows,
    flops,
  });
}

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
  launchRows(
    rec,
    forward,
    rows,
    { x, weight, y, inverse_rms },
    { rows, width, eps },
    4 * rows * width,
  );
  rec.onBackward(() => {
    const dy = rec.gradOf(y);
    if (!dy || !x.requiresGrad) return;
    const { grad: dx, accumulate } = rec.gradTarget(x);
    launchRows(
      rec,
      backward,
      rows,
      { x, weight, inverse_rms, dy, dx },
      { rows, width, accumulate },
      8 * rows * width,
    );
  });
  return y;
}
