// The optimizer over a flat parameter store: global norm, clip, AdamW.
import adamwCode from '../../shaders/optim/adamw.wgsl?raw';
import axpyCode from '../../shaders/optim/axpy.wgsl?raw';
import clipCode from '../../shaders/optim/clip_factor.wgsl?raw';
import squareCode from '../../shaders/optim/square_sum.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import type { Recorder } from '../graph/recorder.ts';
import { sizeOf, type Tensor, tensor } from '../graph/tensor.ts';
import { invariant } from '../util/error.ts';

const adamwKernel = defineKernel('adamw', adamwCode);
const axpyKernel = defineKernel('axpy', axpyCode);
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

/** Flat buffers of one level, each (P), P a multiple of 4, as a ParamStore's are. */
export interface Flat {
  /** One u32, 0 at the start: raised for good by a gradient that is not finite. */
  halt: Tensor;
  value: Tensor;
  grad: Tensor;
  m: Tensor;
  v: Tensor;
}

/**
 * One update: norm over all gradients, g·min(1, c/(‖g‖ + 1e-6)), AdamW with decoupled decay,
 * gradients zeroed (method §1). Learning rate, decay, clip and bias corrections come from the step
 * uniform; norm and factor go to the statistics.
 */
export function adamw(
  rec: Recorder,
  flat: Flat,
  statistics: Tensor,
  { beta1, beta2, eps }: AdamW = ADAMW,
): void {
  const n = sizeOf(flat.value);
  const quads = quadsOf(flat.value);
  globalNorm(rec, flat.grad, statistics, flat.halt);
  const params = {
    quads,
    beta1,
    beta2,
    one_minus_beta1: 1 - beta1,
    one_minus_beta2: 1 - beta2,
    eps,
  };
  rec.launch({
    kernel: adamwKernel,
    tensors: { statistics, ...flat },
    params,
    threads: quads,
    flops: 16 * n,
  });
}

function quadsOf(t: Tensor): number {
  const n = sizeOf(t);
  invariant(n % 4 === 0, `${t.name}: a flat buffer has a multiple of 4 elements`);
  return n / 4;
}

/** ‖x‖₂ and the clip factor to the statistics; raises `halt` where the norm is not finite. */
export function globalNorm(rec: Recorder, x: Tensor, statistics: Tensor, halt: Tensor): void {
  const partials = tensor('norm partials', [128]);
  rec.launch({
    kernel: squareKernel,
    tensors: { x, partials },
    params: { quads: quadsOf(x) },
    workgroups: [128, 1, 1],
    flops: 2 * sizeOf(x),
  });
  rec.launch({ kernel: clipKernel, tensors: { partials, statistics, halt }, workgroups: 1 });
}

/**
 * What multiplies an axpy's factor (method §3): nothing, ξ (the step's learning rate), ε =
 * 0.01/‖v‖, or ξ/(2ε), ‖v‖ being the norm in the statistics.
 */
export type AxpyRule = 'plain' | 'xi' | 'epsilon' | 'difference';

/** out += factor·rule·x over whole flat buffers. */
export function axpy(
  rec: Recorder,
  x: Tensor,
  out: Tensor,
  factor: number,
  rule: AxpyRule,
  statistics: Tensor,
): void {
  const quads = quadsOf(out);
  const number = ['plain', 'xi', 'epsilon', 'difference'].indexOf(rule);
  rec.launch({
    kernel: axpyKernel,
    tensors: { x, statistics, out },
    params: { quads, rule: number, factor },
    threads: quads,
    flops: 2 * sizeOf(out),
  });
}
