// The optimizer over a flat parameter store: global norm, clip, AdamW.
import adamwCode from '../../shaders/optim/adamw.wgsl?raw';
import clipCode from '../../shaders/optim/clip_factor.wgsl?raw';
import squareCode from '../../shaders/optim/square_sum.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import type { Recorder } from '../graph/recorder.ts';
import { sizeOf, type Tensor, tensor } from '../graph/tensor.ts';

const adamwKernel = defineKernel('adamw', adamwCode);
const clipKernel = defineKernel('clip_factor', clipCode);
const squareKernel = defineKernel('square_sum', squareCode);

/** AdamW's constants. */
export interface AdamW {
  beta1: number;
  beta2: number;
  eps: number;
}

/** PyTorch's defaults, used at the lower level. */
export const ADAMW: AdamW = { beta1: 0.9, beta2: 0.999, eps: 1e-8 };

/** Flat buffers of one level, each (P). */
export interface Flat {
  /** One u32, 0 at the start: raised for good by a gradient that is not finite. */
  halt: Tensor;
  value: Tensor;
  grad: Tensor;
  m: Tensor;
  v: Tensor;
}

/**
 * One update: norm over all gradients, g·min(1, c/(‖g‖ + 1e-6)), AdamW with decoupled decay, gradients zeroed (method §1).
 * Learning rate, decay, clip and bias corrections come from the step uniform; norm and factor go to statistics 3 and 4.
 */
export function adamw(rec: Recorder, flat: Flat, statistics: Tensor, { beta1, beta2, eps }: AdamW = ADAMW): void {
  const n = sizeOf(flat.value);
  const partials = tensor('norm partials', [128]);
  rec.launch({ kernel: squareKernel, tensors: { x: flat.grad, partials }, params: { n }, workgroups: [128, 1, 1], flops: 2 * n });
  rec.launch({ kernel: clipKernel, tensors: { partials, statistics, halt: flat.halt }, workgroups: 1 });
  const params = { n, beta1, beta2, one_minus_beta1: 1 - beta1, one_minus_beta2: 1 - beta2, eps };
  rec.launch({ kernel: adamwKernel, tensors: { statistics, ...flat }, params, workgroups: Math.ceil(n / 64), flops: 16 * n });
}
