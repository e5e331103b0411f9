// Reductions of rows: RMSNorm, its backward, and cross-entropy, each written once and joined with a
// module of shaders/lib/rows that says which threads share a row.
import crossEntropyCode from '../../../shaders/loss/cross_entropy.wgsl?raw';
import normCode from '../../../shaders/norm/rms_norm.wgsl?raw';
import normBackwardCode from '../../../shaders/norm/rms_norm_backward.wgsl?raw';
import { defineKernel, kernelNamed } from '../../gpu/kernel.ts';
import { blank, type Family, sample, type Variant } from '../../graph/family.ts';
import { type Tensor, tensor } from '../../graph/tensor.ts';

const reductions = {
  rms_norm: { code: normCode, threads: 64 },
  rms_norm_backward: { code: normBackwardCode, threads: 64 },
  // Rows of logits are few and long.
  cross_entropy: { code: crossEntropyCode, threads: 16 },
};

/** One reduction of `rows` rows. */
export interface RowReduction {
  kernel: keyof typeof reductions;
  rows: number;
  tensors: Record<string, Tensor>;
  params: Record<string, number>;
  flops: number;
}

/**
 * @param name the module of shaders/lib/rows
 * @param shape threads of a workgroup and rows that it reduces, for a kernel that asks for as many
 */
const variant = (
  name: string,
  shape: (threads: number) => { threads: number; rows: number },
): Variant<RowReduction> => ({
  name,
  can: () => true,
  record: (rec, { kernel: of, rows, tensors, params, flops }) => {
    const { code, threads: asked } = reductions[of];
    const { threads, rows: perGroup } = shape(asked);
    const kernel = kernelNamed(`${of} (${name})`, () =>
      defineKernel(`${of} (${name})`, code, { uses: [`rows/${name}`], constants: { threads } }),
    );
    const workgroups = Math.ceil(rows / perGroup);
    rec.launch({ kernel, tensors, params: { rows, ...params }, workgroups, flops });
  },
});

export const rowReductions: Family<RowReduction> = {
  name: 'rows',
  variants: [
    variant('thread', (threads) => ({ threads, rows: threads })),
    variant('workgroup', () => ({ threads: 64, rows: 1 })),
  ],
  bench: () => {
    const [rows, width, vocab] = [512, 576, 16384];
    const [x, dy, weight] = [
      sample('x', rows, width),
      sample('dy', rows, width),
      sample('w', width),
    ];
    const [y, dx] = [blank('y', rows, width), blank('dx', rows, width)];
    const inverse_rms = sample('1/rms', rows);
    const logits = sample('logits', 64, vocab);
    const data = Uint32Array.from({ length: 64 }, (_, i) => i);
    const targets = tensor('targets', [64], { kind: 'state', dtype: 'u32', data });
    const losses = blank('losses', 64);
    const of = (kernel: RowReduction['kernel'], c: Omit<RowReduction, 'kernel'>, out: Tensor) => ({
      name: kernel,
      c: { kernel, ...c },
      out: [out],
    });
    return [
      of(
        'rms_norm',
        {
          rows,
          tensors: { x, weight, y, inverse_rms: blank('inverse', rows) },
          params: { width, eps: 1e-5 },
          flops: 4 * rows * width,
        },
        y,
      ),
      of(
        'rms_norm_backward',
        {
          rows,
          tensors: { x, weight, inverse_rms, dy, dx },
          params: { width, accumulate: 0 },
          flops: 8 * rows * width,
        },
        dx,
      ),
      of(
        'cross_entropy',
        {
          rows: 64,
          tensors: { targets, logits, losses },
          params: { vocab, first: 0, write_gradient: 0 },
          flops: 6 * 64 * vocab,
        },
        losses,
      ),
    ];
  },
  key: ({ kernel }) => kernel,
};
