// Products in tiles of workgroup memory, whose sizes follow from the product's shape: for GPUs, and
// for any product anywhere.
import sumCode from '../../../shaders/product/sum_slices.wgsl?raw';
import code from '../../../shaders/product/tile.wgsl?raw';
import { defineKernel, type Kernel, kernelNamed } from '../../gpu/kernel.ts';
import { vec4 } from '../../gpu/wgsl.ts';
import type { Variant } from '../../graph/family.ts';
import type { Recorder } from '../../graph/recorder.ts';
import { type Tensor, tensor, wholeOf } from '../../graph/tensor.ts';
import { isBlockType } from '../../util/blocks.ts';
import {
  isSum,
  joined,
  lowRankParams,
  type Product,
  type Products,
  productFlops,
  productParams,
  productTensors,
  readByFours,
} from './case.ts';
import { STEPS, slicesOf, type Tile, tileOf } from './shapes.ts';

const sumSlices = defineKernel('sum_slices', sumCode);

/** How a kernel reads an f32 operand four elements at a time, by a load of four where it may. */
const quadOf = (name: string, fours: boolean): string => `
alias ${name.toUpperCase()} = ${fours ? 'vec4<f32>' : 'f32'};
fn ${name}_quad(i: u32) -> vec4<f32> {
  return ${fours ? `${name}[i / 4u]` : vec4((q) => `${name}[i + ${q}u]`)};
}`;

/** As `quadOf`, of packed weights. */
const packedQuad = (fours: boolean): string => `
alias B = u32;
fn word(i: u32) -> u32 { return b[i]; }
fn b_quad(i: u32) -> vec4<f32> {
  return ${fours ? 'weights4(i / 4u)' : vec4((q) => `element(i + ${q}u)`)};
}`;

/**
 * The factor by which a half-precision product scales A: gradients of a mean over tokens would be
 * denormal in f16. A power of two, so scaling rounds nothing.
 */
const scaleOf = (gradient: boolean): string =>
  gradient
    ? `@group(0) @binding(8) var<uniform> step: Step;
fn scale() -> f32 {
  let tokens = 1.0 / max(step.inverse_tokens, 1e-9);
  return select(1.0, exp2(round(log2(16.0 * tokens))), step.inverse_tokens > 0.0);
}`
    : 'fn scale() -> f32 { return 1.0; }';

/** The kernel for these products' layout and tile; each name has one text and one set of sizes. */
function kernelOf(list: Products, tile: Tile, half: boolean): Kernel {
  const [{ left, right }] = list;
  const lowRank = list.find((p) => p.lowRank)?.lowRank;
  const packing = right.tensor.dtype;
  const fours = list.every((p) => readByFours(p, p.k, p.left, p.right));
  const pairByFours = (p: Product) =>
    !p.lowRank || readByFours(p, p.lowRank.k, { ...p.lowRank.left, order: 'row' }, p.lowRank.right);
  const fours2 = lowRank !== undefined && list.every(pairByFours);
  const four = (yes: boolean) => (yes ? '4' : '');
  const plus = lowRank ? `+${lowRank.right.order}${four(fours2)}` : '';
  const size = [tile.rows, tile.columns, ...(tile.lanes > 1 ? [tile.lanes] : [])].join('x');
  const form = `${left.order}_${right.order}${four(fours)}${plus}_${packing}_${size}`;
  const name = `product_${form}_${half ? 'half' : 'tile'}`;
  const packed = packing !== 'f32';
  const loads = [
    quadOf('a', fours),
    packed ? packedQuad(fours || isBlockType(packing)) : quadOf('b', fours),
    quadOf('a2', fours2),
    quadOf('b2', fours2),
    half ? scaleOf(right.order === 'col') : '',
  ];
  return kernelNamed(name, () =>
    defineKernel(name, `${code}${loads.join('\n')}`, {
      uses: [`product/${half ? 'half' : 'exact'}`, ...(packed ? [`packing/${packing}`] : [])],
      constants: {
        rows: tile.rows,
        columns: tile.columns,
        results: tile.results,
        lanes: tile.lanes,
        depth: tile.depth,
        a_by_rows: Number(left.order === 'row'),
        b_by_rows: Number(right.order === 'row'),
        b2_by_rows: Number(lowRank?.right.order !== 'col'),
      },
    }),
  );
}

/** Most products in a launch (`products` of tile.wgsl). */
const MOST = 3;

/** The tensors that a launch binds, and each product's offsets in them. */
function operandsOf(list: Products): {
  tensors: Record<string, Tensor>;
  params: Record<string, number>;
} {
  const tensors: Record<string, Tensor> = {};
  const each = list.map(productTensors);
  for (const name of ['a', 'b', 'a2', 'b2', 'bias', 'residual', 'c']) {
    const [first, ...others] = each.flatMap((t) => t[name] ?? []);
    // The kernel does not read what fills the slot of a missing operand.
    tensors[name] = !first ? tensors.a : others.every((t) => t === first) ? first : wholeOf(first);
  }
  const params: Record<string, number> = {};
  list.forEach((p, i) => {
    const { accumulate, ...own } = productParams(p);
    const { lda2, ...pair } = lowRankParams(p);
    const values: Record<string, number> = { ...own, ...pair, bias_start: 0 };
    for (const [name, t] of Object.entries(each[i]))
      if (t !== tensors[name] && name !== 'residual') values[`${name}_start`] += t.offset;
    for (const [name, value] of Object.entries(values)) params[`products[${i}].${name}`] = value;
    if (i === 0) params.accumulate = accumulate;
    params.lda2 = Math.max(params.lda2 ?? 0, lda2);
  });
  return { tensors, params };
}

function launch(rec: Recorder, list: Products, half: boolean): void {
  const chosen = tileOf(list);
  const slices = slicesOf(list, chosen);
  if (slices > 1 && list.length > 1) {
    for (const p of list) launch(rec, [p], half);
    return;
  }
  const [{ m, n, out, accumulate = 0, label = 'product' }] = list;
  const parts = slices > 1 ? tensor('slices', [slices, m, n]) : null;
  const partial = parts
    ? [{ ...list[0], accumulate: 0 as const, out: { tensor: parts, stride: n } }]
    : list;
  const kernel = kernelOf(list, chosen, half);
  const { tensors, params } = operandsOf(partial);
  const summed = isSum(list);
  const columns = (summed ? list.slice(0, 1) : list).map((p) => Math.ceil(p.n / chosen.columns));
  const deepest = Math.max(...list.map((p) => p.k));
  rec.launch({
    kernel,
    tensors,
    params: {
      ...Object.fromEntries(kernel.params.map(({ name }) => [name, 0])),
      ...params,
      count: list.length,
      summed: Number(summed),
      has_bias: Number(Boolean(list[0].bias)),
      has_residual: Number(Boolean(list[0].residual)),
      // Whole steps of every tile, so that where a slice begins depends on none.
      slice: Math.ceil(deepest / slices / STEPS) * STEPS,
    },
    workgroups: [
      Math.max(...list.map((p) => Math.ceil(p.m / chosen.rows))),
      columns.reduce((a, b) => a + b),
      slices,
    ],
    flops: list.reduce((sum, p) => sum + productFlops(p), 0),
    label: list.map((p) => p.label ?? 'product').join(', '),
  });
  if (!parts) return;
  rec.launch({
    kernel: sumSlices,
    tensors: { parts, c: out.tensor },
    params: { m, n, slices, c_start: out.start ?? 0, ldc: out.stride, accumulate },
    threads: m * n,
    label: `${label} sum`,
  });
}

const inTiles = (half: boolean): Pick<Variant<Products>, 'record'> => ({
  record: (rec, list) => {
    for (const group of joined(list, MOST)) launch(rec, group, half);
  },
});

export const tile: Variant<Products> = { name: 'tile', can: () => true, ...inTiles(false) };

/** Half precision: runs only on request, and never for skinny products. */
export const half: Variant<Products> = {
  name: 'half',
  can: ({ f16 }, list) => f16 && list[0].left.order === 'row' && tileOf(list).lanes === 1,
  suits: () => false,
  ...inTiles(true),
};
