// Sampling the next token of each row on the device.
import code from '../../shaders/sample/next_token.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import type { Recorder } from '../graph/recorder.ts';
import type { Tensor } from '../graph/tensor.ts';

const kernel = defineKernel('next_token', code, { constants: { threads: 128 } });

/** How tokens are chosen. Temperature 0 is greedy; ties go to the lower id. */
export interface Sampling {
  temperature: number;
  /**
   * Nucleus: the smallest set of tokens whose probabilities reach topP (Holtzman et al. 2020); 1
   * keeps all.
   */
  topP: number;
}

/** Inputs and outputs of sampling. */
export interface Choosing {
  logits: Tensor; // (rows, V)
  /** Temperature and top-p. */
  sampling: Tensor;
  /** Uniform draws in [0, 1) and sampled ids (u32), each (tokens, rows); the row is `step.number`. */
  draws: Tensor;
  chosen: Tensor;
  /** The row's next input and its position (rows), u32. */
  ids: Tensor;
  positions: Tensor;
}

/** Samples each row's next token and advances its position, to `capacity` − 1 at most. */
export function nextToken(rec: Recorder, tensors: Choosing, capacity: number): void {
  const [rows, vocab] = tensors.logits.shape;
  rec.launch({
    kernel,
    tensors: { ...tensors },
    params: { rows, vocab, capacity },
    workgroups: rows,
    flops: 8 * rows * vocab,
  });
}
