// Elementwise ops: residual addition and dropout.
import addCode from '../../shaders/elementwise/add.wgsl?raw';
import dropoutCode from '../../shaders/elementwise/dropout.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import type { Recorder } from '../graph/recorder.ts';
import { sizeOf, type Tensor, tensor } from '../graph/tensor.ts';

const addKernel = defineKernel('add', addCode);
const dropoutKernel = defineKernel('dropout', dropoutCode);

/** Adds `source` into `target` element by element. */
function addInto(rec: Recorder, source: Tensor, target: Tensor): void {
  const n = sizeOf(source);
  rec.launch({
    kernel: addKernel,
    tensors: { x: source, y: source, out: target },
    params: { n, accumulate: 1 },
    threads: n,
    flops: n,
  });
}

/**
 * x + y of equal shape; the residual stream's join. Its backward hands the gradient on without a
 * copy where it can.
 */
export function add(rec: Recorder, x: Tensor, y: Tensor): Tensor {
  const n = sizeOf(x);
  const out = tensor(`${x.name} + ${y.name}`, x.shape, {
    requiresGrad: x.requiresGrad || y.requiresGrad,
  });
  rec.launch({
    kernel: addKernel,
    tensors: { x, y, out },
    params: { n, accumulate: 0 },
    threads: n,
    flops: n,
  });
  rec.onBackward(() => {
    const grad = rec.gradOf(out);
    if (!grad) return;
    for (const t of [y, x]) {
      if (t.requiresGrad && !rec.aliasGrad(t, grad)) addInto(rec, grad, rec.gradTarget(t).grad);
    }
  });
  return out;
}

/**
 * Inverted dropout with the step's rate (`step.dropout`).
 * @param input names the mask's stream: equal numbers in one micro-batch give equal masks
 */
export function dropout(rec: Recorder, x: Tensor, input: number): Tensor {
  const n = sizeOf(x);
  const out = tensor(`dropout ${x.name}`, x.shape, { requiresGrad: x.requiresGrad });
  const launch = (from: Tensor, to: Tensor, accumulate: number) =>
    rec.launch({
      kernel: dropoutKernel,
      tensors: { x: from, out: to },
      params: { n, input, accumulate },
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
