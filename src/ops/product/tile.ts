// Products in tiles of workgroup memory, whose sizes follow from the product's shape: for GPUs, and
// for any product anywhere.
import sumCode from '../../../shaders/product/sum_slices.wgsl?raw';
import code from '../../../shaders/product/tile.wgsl?raw';
import { defineKernel, type Kernel, kernelNamed } from '../../gpu/kernel.ts';
import { vec4 } from '../../gpu/wgsl.ts';
import type { Variant } from '../../graph/family.ts';
import { tensor } from '../../graph/tensor.ts';
import { isBlockType } from '../../util/blocks.ts';
import {
  lowRankParams,
  type Product,
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

/** The kernel of a product's form in a tile; a name stands for one text and its sizes. */
function kernelOf(p: Product, tile: Tile): Kernel {
  const { left, right, lowRank } = p;
  const packing = right.tensor.dtype;
  const fours = readByFours(p, p.k, left, right);
  const fours2 =
    lowRank !== undefined &&
    readByFours(p, lowRank.k, { ...lowRank.left, order: 'row' }, lowRank.right);
  const four = (yes: boolean) => (yes ? '4' : '');
  const plus = lowRank ? `+${lowRank.right.order}${four(fours2)}` : '';
  const size = [tile.rows, tile.columns, ...(tile.lanes > 1 ? [tile.lanes] : [])].join('x');
  const name = `product_${left.order}_${right.order}${four(fours)}${plus}_${packing}_${size}_tile`;
  const packed = packing !== 'f32';
  const loads = [
    quadOf('a', fours),
    packed ? packedQuad(fours || isBlockType(packing)) : quadOf('b', fours),
    quadOf('a2', fours2),
    quadOf('b2', fours2),
  ];
  return kernelNamed(name, () =>
    defineKernel(name, `${code}${loads.join('\n')}`, {
      uses: packed ? [`packing/${packing}`] : [],
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

export const tile: Variant<Product> = {
  name: 'tile',
  can: () => true,
  record: (rec, p) => {
    const { m, n, k, left, out } = p;
    const chosen = tileOf(p);
    const slices = slicesOf(p, chosen);
    const parts = slices > 1 ? tensor('slices', [slices, m, n]) : null;
    const partial: Product = parts ? { ...p, accumulate: 0, out: { tensor: parts, stride: n } } : p;
    const kernel = kernelOf(p, chosen);
    // Whole steps of every tile, so that where a slice begins depends on none.
    const slice = Math.ceil(k / slices / STEPS) * STEPS;
    rec.launch({
      kernel,
      // What stands for a missing operand is not read.
      tensors: {
        a2: left.tensor,
        b2: left.tensor,
        bias: left.tensor,
        ...productTensors(partial),
      },
      params: {
        ...productParams(partial),
        ...lowRankParams(p),
        has_bias: p.bias ? 1 : 0,
        slice,
      },
      workgroups: [Math.ceil(m / chosen.rows), Math.ceil(n / chosen.columns), slices],
      flops: productFlops(p),
      label: p.label,
    });
    if (!parts) return;
    rec.launch({
      kernel: sumSlices,
      tensors: { parts, c: out.tensor },
      params: {
        m,
        n,
        slices,
        c_start: out.start ?? 0,
        ldc: out.stride,
        accumulate: p.accumulate ?? 0,
      },
      threads: m * n,
      label: `${p.label ?? 'product'} sum`,
    });
  },
};
