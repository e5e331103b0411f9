// SwiGLU and its gradients.

import forwardCode from '../../shaders/mlp/swiglu.wgsl?raw';
import backwardCode from '../../shaders/mlp/swiglu_backward.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import type { Recorder } from '../graph/recorder.ts';
import { sizeOf, type Tensor, tensor } from '../graph/tensor.ts';
import { invariant } from '../util/error.ts';

const forward = defineKernel('swiglu', forwardCode);
const backward = defineKernel('swiglu_backward', backwardCode);

/**
 * silu(gate) · up, elementwise (Shazeer 2020, eq. 6). Both operands must be read by this op alone.
 */
export function swiglu(rec: Recorder, gate: Tensor, up: Tensor): Tensor {
  const n = sizeOf(gate);
  const y = tensor(`swiglu ${gate.name}`, gate.shape, {
    requiresGrad: gate.requiresGrad || up.requiresGrad,
  });
  rec.launch({
    kernel: forward,
    tensors: { gate, up, y },
    params: { n },
    threads: n,
    flops: 5 * n,
  });
  rec.onBackward(() => {
    const dy = rec.gradOf(y);
    if (!dy || !y.requiresGrad) return;
    const [g, u] = [rec.gradTarget(gate), rec.gradTarget(up)];
    invariant(!g.accumulate && !u.accumulate, 'swiglu operands have one reader');
    rec.launch({
      kernel: backward,
      tensors: {
        gate,
        up,
        dy,
        d_gate: g.grad,
        d_up: u.grad,
      },
      params: { n },
      threads: n,
      flops: 10 * n,
    });
  });
  return y;
}
