// Attention in blocks of queries and keys held in workgroup memory, for GPUs; against a cache with
// few queries, every block of keys in a workgroup of its own.
import forwardCode from '../../../shaders/attention/block.wgsl?raw';
import keyCode from '../../../shaders/attention/block_dkv.wgsl?raw';
import queryCode from '../../../shaders/attention/block_dq.wgsl?raw';
import joinCode from '../../../shaders/attention/block_join.wgsl?raw';
import { type DeviceTraits, mayBeCpu } from '../../gpu/device.ts';
import { defineKernel, type Kernel, kernelNamed } from '../../gpu/kernel.ts';
import type { Variant } from '../../graph/family.ts';
import type { Recorder } from '../../graph/recorder.ts';
import { tensor } from '../../graph/tensor.ts';
import { type Attention, isFalling, pairsOf, windowOf } from './case.ts';

const LARGEST_HEAD = 256;
/** Tokens a row up to which keys are split over workgroups. */
const FEW = 8;
/** Queries of such a workgroup. */
const FEW_OWN = 8;
const MOST_WORKGROUPS = 65535;

/** A workgroup's blocks, in rows, and the threads that share a row. */
export interface Blocks {
  own: number;
  other: number;
  lanes: number;
}

/**
 * The kernels: blocks of own and other rows and of weights that each holds, whether it reduces over
 * lanes, and its largest blocks, (own, other).
 */
const kernels = {
  forward: {
    code: forwardCode,
    held: { own: 1, other: 1, weights: 1 },
    lanes: 8,
    reduces: 1,
    most: [32, 32],
  },
  dq: {
    code: queryCode,
    held: { own: 2, other: 1, weights: 1 },
    lanes: 8,
    reduces: 1,
    most: [32, 32],
  },
  dkv: {
    code: keyCode,
    held: { own: 2, other: 2, weights: 2 },
    lanes: 16,
    reduces: 0,
    most: [16, 32],
  },
} as const;
type Pass = keyof typeof kernels;

/** Elements of a head that are read at once. */
const widthOf = (headDim: number): 1 | 2 | 4 => (headDim % 4 === 0 ? 4 : headDim % 2 === 0 ? 2 : 1);

/** Parts of a row in workgroup memory: an odd number, so that rows begin in different banks. */
const strideOf = (parts: number): number => parts + 1 - (parts % 2);

/** Bytes of workgroup memory, as WebGPU counts them: each array in whole 16 bytes. */
export function workgroupBytes(pass: Pass, { own, other, lanes }: Blocks, headDim: number): number {
  const { held, reduces } = kernels[pass];
  const width = widthOf(headDim);
  const rows = held.own * own + held.other * other;
  const arrays = [
    rows * strideOf(headDim / width) * width,
    held.weights * own * (other + 1),
    reduces * own * lanes,
  ];
  return arrays.reduce((bytes, floats) => bytes + 16 * Math.ceil(floats / 4), 0);
}

/** The largest blocks that a device has room for, if any. */
export function blocksFor(pass: Pass, headDim: number, device: DeviceTraits): Blocks | undefined {
  const { most, lanes } = kernels[pass];
  let [own, other]: readonly number[] = most;
  while (own >= 4) {
    const blocks = { own, other, lanes };
    if (workgroupBytes(pass, blocks, headDim) <= device.workgroupBytes) return blocks;
    if (other < own) own /= 2;
    else other /= 2;
  }
  return undefined;
}

const rowsOf = ({ own }: Blocks): number => (own >= 16 ? 2 : 1);

/** WGSL of the sizes, and of some elements of a head. */
function sizesText(pass: Pass, blocks: Blocks, headDim: number, share: number): string {
  const { own, other, lanes } = blocks;
  const { held } = kernels[pass];
  const width = widthOf(headDim);
  const parts = headDim / width;
  const rows = rowsOf(blocks);
  const sizes = {
    PARTS: parts,
    STRIDE: strideOf(parts),
    SHARE: share,
    OWN: own,
    OTHER: other,
    LANES: lanes,
    ROWS: rows,
    COLUMNS: Math.ceil(other / lanes),
    HELD: Math.ceil(parts / lanes),
    THREADS: (own / rows) * lanes,
    BLOCK_ROWS: held.own * own + held.other * other,
    WEIGHTS: held.weights,
  };
  const constants = Object.entries(sizes).map(([name, value]) => `const ${name} = ${value}u;`);
  return `
alias Part = ${width === 1 ? 'f32' : `vec${width}<f32>`};
fn part_dot(a: Part, b: Part) -> f32 { return ${width === 1 ? 'a * b' : 'dot(a, b)'}; }
${constants.join('\n')}
`;
}

function kernelOf(pass: Pass, blocks: Blocks, headDim: number, share: number, code?: string) {
  const kind = code ? 'join' : pass;
  const name = `attention_block_${kind}_${headDim}x${share}_${blocks.own}x${blocks.other}`;
  return kernelNamed(name, (): Kernel => {
    const text = sizesText(pass, blocks, headDim, share);
    return defineKernel(name, `${code ?? kernels[pass].code}${text}`);
  });
}

const shareOf = ({ heads, kvHeads }: Attention['size']): number => heads / kvHeads;

/**
 * Records the forward pass. Few queries against a cache get a workgroup a block of keys, and their
 * sums are joined in the order and by the arithmetic of the other way: neither the number of rows
 * nor of tokens changes a bit.
 */
function recordForward(rec: Recorder, c: Attention): void {
  const { rows, seqLen, capacity, size, q, k, v, o, softmax, positions } = c;
  const { heads, kvHeads, headDim } = size;
  const whole = blocksFor('forward', headDim, rec.variants.device)!;
  const slices = Math.ceil(capacity / whole.other);
  const split = c.cached && seqLen <= FEW && slices > 1 && slices * rows <= MOST_WORKGROUPS;
  const blocks = split ? { ...whole, own: Math.min(FEW_OWN, whole.own) } : whole;
  const [share, queries] = [shareOf(size), rows * seqLen * heads];
  const partial = split && {
    sums: tensor(`${o.name} slices`, [slices, queries, headDim]),
    tops: tensor(`${softmax.name} slices`, [slices, queries, 2]),
  };
  const places = { rows, seq_len: seqLen, capacity, heads, window: windowOf(c) };
  const into = partial ? { o: partial.sums, softmax: partial.tops } : { o, softmax };
  rec.launch({
    kernel: kernelOf('forward', blocks, headDim, share),
    tensors: { q, k, v, positions, ...into },
    params: {
      ...places,
      kv_heads: kvHeads,
      cached: c.cached ? 1 : 0,
      slices: split ? slices : 0,
      scale: 1 / Math.sqrt(headDim),
    },
    workgroups: [Math.ceil((seqLen * share) / blocks.own), kvHeads, rows * (split ? slices : 1)],
    flops: 4 * pairsOf(c) * headDim,
    falling: isFalling(c),
  });
  if (!partial) return;
  rec.launch({
    kernel: kernelOf('forward', blocks, headDim, share, joinCode),
    tensors: { ...partial, positions, o, softmax },
    params: places,
    threads: (queries * headDim) / widthOf(headDim),
    flops: 2 * slices * queries * headDim,
  });
}

function recordBackward(
  rec: Recorder,
  c: Attention,
  { d_o, d_q, d_k, d_v }: NonNullable<Attention['gradients']>,
): void {
  const { rows, seqLen, capacity, size, q, k, v, o, softmax, positions } = c;
  const { heads, kvHeads, headDim } = size;
  const share = shareOf(size);
  const flops = pairsOf(c) * headDim;
  const scale = 1 / Math.sqrt(headDim);
  const places = { rows, seq_len: seqLen, capacity, heads, kv_heads: kvHeads };
  const params = { ...places, window: windowOf(c), scale };
  const tensors = { q, k, v, d_o, positions, softmax };
  const [queries, keys] = (['dq', 'dkv'] as const).map(
    (pass) => blocksFor(pass, headDim, rec.variants.device)!,
  );
  rec.launch({
    kernel: kernelOf('dq', queries, headDim, share),
    tensors: { ...tensors, o, d_q },
    params,
    workgroups: [Math.ceil((seqLen * share) / queries.own), kvHeads, rows],
    flops: 6 * flops,
    falling: isFalling(c),
  });
  rec.launch({
    kernel: kernelOf('dkv', keys, headDim, share),
    tensors: { ...tensors, d_k, d_v },
    params,
    workgroups: [Math.ceil(seqLen / keys.own), kvHeads, rows],
    flops: 8 * flops,
    falling: isFalling(c),
  });
}

export const block: Variant<Attention> = {
  name: 'block',
  can: (device, { size: { headDim } }) =>
    headDim <= LARGEST_HEAD &&
    (Object.keys(kernels) as Pass[]).every((pass) => blocksFor(pass, headDim, device)),
  suits: (device) => !mayBeCpu(device),
  record: (rec, c) => (c.gradients ? recordBackward(rec, c, c.gradients) : recordForward(rec, c)),
};
