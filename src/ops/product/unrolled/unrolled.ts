// Products for software renderers: a thread keeps a block of C in registers, alone or in 4-lane
// subgroups whose lanes share their rows by broadcast.
import { mayBeCpu } from '../../../gpu/device.ts';
import { defineKernel, kernelNamed } from '../../../gpu/kernel.ts';
import type { Variant } from '../../../graph/family.ts';
import type { Recorder } from '../../../graph/recorder.ts';
import { isBlockType } from '../../../util/blocks.ts';
import {
  lowRankParams,
  type Packing,
  type Product,
  type Products,
  productFlops,
  productParams,
  productTensors,
  readByFours,
  writtenByFours,
} from '../case.ts';
import type { Block } from './body.ts';
import { type Form, threadsOf, unrolledText } from './text.ts';

/**
 * Register blocks, measured (docs/bench.md): large ones are faster and slower to compile, so small
 * products take small ones.
 */
function blockFor(shared: boolean, { m, n, k }: Product): Block {
  const flops = 2 * m * n * k;
  if (flops < 4e6) return { rows: 16, columns: 4 };
  return { rows: 16, columns: shared && flops >= 5e7 ? 16 : 8 };
}

function formOf(p: Product): Form {
  const { left, right, lowRank } = p;
  return {
    left: left.order,
    right: right.order,
    packing: right.tensor.dtype as Packing,
    lowRank: lowRank?.right.order ?? null,
    bias: Boolean(p.bias),
    residual: Boolean(p.residual),
    vector: readByFours(p, p.k, left, right),
    vector2: lowRank
      ? readByFours(p, lowRank.k, { ...lowRank.left, order: 'row' }, lowRank.right)
      : false,
    vectorOut: writtenByFours(p),
  };
}

/** A name for each text. */
function nameOf(variant: string, form: Form, { rows, columns }: Block): string {
  const four = (vector: boolean) => (vector ? '4' : '');
  const parts = [
    `product_${form.left}_${form.right}${four(form.vector)}`,
    form.lowRank ? `+${form.lowRank}${four(form.vector2)}` : '',
    form.bias ? '+bias' : '',
    form.residual ? '+residual' : '',
    `_${form.packing}_${variant}_${rows}x${columns}`,
    form.vectorOut ? '' : '_unaligned',
  ];
  return parts.join('');
}

/** @param shared whether four lanes share their rows, which needs subgroups of a quad at least */
export const unrolled = (name: string, shared: boolean): Variant<Products> => ({
  name,
  suits: mayBeCpu,
  can: ({ subgroup }, list) =>
    (!shared || subgroup !== null) &&
    list.every(
      (p) =>
        !isBlockType(p.right.tensor.dtype) ||
        p.right.order === 'col' ||
        readByFours(p, p.k, p.left, p.right),
    ),
  record: (rec, list) => {
    for (const p of list) launch(rec, name, p, shared);
  },
});

function launch(rec: Recorder, name: string, p: Product, shared: boolean): void {
  const [form, block] = [formOf(p), blockFor(shared, p)];
  const kernelName = nameOf(name, form, block);
  const kernel = kernelNamed(kernelName, () =>
    defineKernel(kernelName, unrolledText(form, block, shared), {
      uses: isBlockType(form.packing) ? [`packing/${form.packing}`] : [],
    }),
  );
  const width = threadsOf(shared) * block.columns;
  rec.launch({
    kernel,
    tensors: productTensors(p),
    params: { ...productParams(p), ...(p.lowRank && lowRankParams(p)) },
    // Rows first: a block of weights stays in cache while all rows pass it.
    workgroups: [Math.ceil(p.m / block.rows), Math.ceil(p.n / width), 1],
    flops: productFlops(p),
    label: p.label,
  });
}
