// Products in 64 × 64 tiles of workgroup memory: for GPUs, and for any product anywhere.
import code from '../../../shaders/product/tile.wgsl?raw';
import { defineKernel, kernelNamed } from '../../gpu/kernel.ts';
import type { Variant } from '../../graph/family.ts';
import { isBlockType } from '../../util/blocks.ts';
import {
  lowRankParams,
  type Product,
  productFlops,
  productParams,
  productTensors,
} from './case.ts';

const TILE = 64;

export const tile: Variant<Product> = {
  name: 'tile',
  can: () => true,
  record: (rec, p) => {
    const { left, right, lowRank } = p;
    const packing = right.tensor.dtype;
    const plus = lowRank ? `+${lowRank.right.order}` : '';
    const name = `product_${left.order}_${right.order}${plus}_${packing}_tile`;
    const kernel = kernelNamed(name, () =>
      defineKernel(name, code, {
        uses: [`packing/${packing}`],
        constants: {
          a_by_rows: Number(left.order === 'row'),
          b_by_rows: Number(right.order === 'row'),
          b2_by_rows: Number(lowRank?.right.order !== 'col'),
          b_by_fours: Number(isBlockType(packing)),
        },
      }),
    );
    rec.launch({
      kernel,
      // What stands for a missing operand is not read.
      tensors: {
        a2: left.tensor,
        b2: right.tensor,
        bias: left.tensor,
        ...productTensors(p),
      },
      params: { ...productParams(p), ...lowRankParams(p), has_bias: p.bias ? 1 : 0 },
      workgroups: [Math.ceil(p.m / TILE), Math.ceil(p.n / TILE), 1],
      flops: productFlops(p),
      label: p.label,
    });
  },
};
