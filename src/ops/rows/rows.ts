// Reductions of rows: RMSNorm, its backward, and the softmax of logits, each written once and joined
// with a module of shaders/lib/rows that says which threads share a row.
import logSumExpCode from '../../../shaders/loss/log_sum_exp.wgsl?raw';
import normCode from '../../../shaders/norm/rms_norm.wgsl?raw';
import normBackwardCode from '../../../shaders/norm/rms_norm_backward.wgsl?raw';
import { mayBeCpu } from '../../gpu/device.ts';
import { defineKernel, kernelNamed } from '../../gpu/kernel.ts';
import { blank, type Family, sample, type Variant } from '../../graph/family.ts';
import { type Tensor, tensor } from '../../graph/tensor.ts';

/** The kernels, and the threads of a workgroup at least. */
const reductions = {
  rms_norm: { code: normCode, threads: 64 },
  rms_norm_backward: { code: normBackwardCode, threads: 64 },
  log_sum_exp: { code: logSumExpCode, threads: 16 }, // rows of logits are few and long
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
 * @param lanes threads that share a row, as the module says
 */
const variant = (name: string, lanes: number): Variant<RowReduction> => ({
  name,
  can: () => true,
  suits: (device) => lanes > 1 || mayBeCpu(device),
  record: (rec, { kernel: of, rows, tensors, params, flops }) => {
    const { code } = reductions[of];
    const threads = Math.max(lanes, reductions[of].threads);
    const kernel = kernelNamed(`${of} (${name})`, () =>
      defineKernel(`${of} (${name})`, code, { uses: [`rows/${name}`], constants: { threads } }),
    );
    const workgroups = Math.ceil((rows * lanes) / threads);
    rec.launch({ kernel, tensors, params: { rows, ...params }, workgroups, flops });
  },
});

export const rowReductions: Family<RowReduction> = {
  name: 'rows',
  variants: [
    variant('thread', 1),
    variant('workgroup', 64), // in a tree
  ],
  bench: ({ hidden, vocab }) => {
    const columns = Math.min(vocab, 16384);
    const [x, dy, y] = ['x', 'dy', 'y'].map((name) => sample(name, 512, hidden));
    const [weight, inverse_rms] = [sample('weight', hidden), sample('1/rms', 512)];
    const [logits, softmax] = [sample('logits', 64, columns), blank('softmax', 64, 2)];
    const losses = blank('losses', 64);
    const data = new Uint32Array(64).fill(5);
    const targets = tensor('targets', [64], { kind: 'state', dtype: 'u32', data });
    const bench = (
      kernel: RowReduction['kernel'],
      out: Tensor,
      c: Omit<RowReduction, 'kernel'>,
    ) => ({
      name: kernel,
      c: { kernel, ...c },
      out: [out],
    });
    const wide = { rows: 512, flops: 8 * 512 * hidden };
    return [
      bench('rms_norm', y, {
        ...wide,
        tensors: { x, weight, y, inverse_rms },
        params: { width: hidden, eps: 1e-5 },
      }),
      bench('rms_norm_backward', y, {
        ...wide,
        tensors: { x, weight, inverse_rms, dy, dx: y },
        params: { width: hidden, accumulate: 0 },
      }),
      bench('log_sum_exp', losses, {
        rows: 64,
        flops: 4 * 64 * columns,
        tensors: { targets, logits, softmax, losses },
        params: { columns, first: 0, column: 0, vocab: columns },
      }),
    ];
  },
  key: ({ kernel }) => kernel,
};
