// Attention by one thread a query (forward, dQ) or a key (dK, dV), for any head size.
import forwardCode from '../../../shaders/attention/attention.wgsl?raw';
import keyCode from '../../../shaders/attention/attention_dkv.wgsl?raw';
import queryCode from '../../../shaders/attention/attention_dq.wgsl?raw';
import { mayBeCpu } from '../../gpu/device.ts';
import { defineKernel, type Kernel, kernelNamed } from '../../gpu/kernel.ts';
import { indented, range } from '../../gpu/wgsl.ts';
import type { Variant } from '../../graph/family.ts';
import { type Attention, pairsOf, windowOf } from './case.ts';

const THREADS = 32;

/**
 * WGSL of a head in registers, of four elements each where its size allows. Unrolled, because in
 * software renderers an array indexed by a loop variable is slow.
 */
function headText(headDim: number): string {
  const [count, type] = headDim % 4 === 0 ? [headDim / 4, 'vec4<f32>'] : [headDim, 'f32'];
  const all = (part: (name: string) => string) => range(count).map((i) => part(`x${i}`));
  const dots = all((x) => (type === 'f32' ? `a.${x} * b.${x}` : `dot(a.${x}, b.${x})`));
  const made = (part: (name: string) => string) => `return Head(${all(part).join(', ')});`;
  return indented(`
struct Head {
${all((x) => `${x}: ${type},`).join('\n')}
}
fn head_dot(a: Head, b: Head) -> f32 {
return ${dots.join(' + ')};
}
fn head_times(a: Head, s: f32) -> Head {
${made((x) => `a.${x} * s`)}
}
fn head_over(a: Head, s: f32) -> Head {
${made((x) => `a.${x} / s`)}
}
// a + s·b
fn head_plus(a: Head, s: f32, b: Head) -> Head {
${made((x) => `a.${x} + s * b.${x}`)}
}`);
}

const kernelOf = (name: string, code: string, headDim: number): Kernel =>
  kernelNamed(`${name}_${headDim}`, () => {
    const text = `${code}\n${headText(headDim)}`;
    return defineKernel(`${name}_${headDim}`, text, { constants: { threads: THREADS } });
  });

export const thread: Variant<Attention> = {
  name: 'thread',
  can: () => true,
  suits: mayBeCpu,
  record: (rec, c) => {
    const { rows, seqLen, capacity, size, gradients, q, k, v, o, softmax, positions } = c;
    const { heads, kvHeads, headDim } = size;
    const tokens = rows * seqLen;
    const flops = pairsOf(c) * headDim;
    const scale = 1 / Math.sqrt(headDim);
    const params = {
      rows,
      seq_len: seqLen,
      heads,
      kv_heads: kvHeads,
      window: windowOf(c),
      scale,
    };
    const tensors = { q, k, v, positions, softmax };
    const queries = Math.ceil((tokens * heads) / THREADS);
    if (!gradients) {
      rec.launch({
        kernel: kernelOf('attention', forwardCode, headDim),
        tensors: { ...tensors, o },
        params: { ...params, capacity, cached: c.cached ? 1 : 0 },
        workgroups: queries,
        flops: 4 * flops,
      });
      return;
    }
    const { d_o, d_q, d_k, d_v } = gradients;
    rec.launch({
      kernel: kernelOf('attention_dq', queryCode, headDim),
      tensors: { ...tensors, o, d_o, d_q },
      params,
      workgroups: queries,
      flops: 6 * flops,
    });
    rec.launch({
      kernel: kernelOf('attention_dkv', keyCode, headDim),
      tensors: { ...tensors, d_o, d_k, d_v },
      params,
      workgroups: Math.ceil((tokens * kvHeads) / THREADS),
      flops: 8 * flops,
    });
  },
};
