// Records a matrix product C = α·A·B (+ α₂·A₂·B₂) (+ bias), with optional accumulation, in the
// run's variant.
import { blank, type Family, type ModelSizes, run, sample } from '../../graph/family.ts';
import type { Recorder } from '../../graph/recorder.ts';
import { sizeOf } from '../../graph/tensor.ts';
import { blockFormats, isBlockType } from '../../util/blocks.ts';
import { invariant } from '../../util/error.ts';
import type { Matrix, Product, Products } from './case.ts';

import { half, tile } from './tile.ts';
import { unrolled } from './unrolled/unrolled.ts';

export type { Matrix, Product } from './case.ts';
export { byColumns, byRows } from './case.ts';

/** Products worth timing: forward, input gradient, and LoRA's thin ones. */
const benchOf = ({ hidden, feedForward }: ModelSizes) =>
  [
    ['x·Wᵀ', 512, feedForward, hidden, 'row', 'row'],
    ['dy·W', 512, hidden, feedForward, 'row', 'col'],
    ['x·Aᵀ', 512, 64, hidden, 'row', 'row'],
    ['hᵀ·x', 64, hidden, 512, 'col', 'col'],
  ] as const;

export const products: Family<Products> = {
  name: 'product',
  variants: [
    tile,
    unrolled('register', false),
    unrolled('subgroup', true), // rows shared by quads
    half,
  ],
  bench: (sizes) =>
    benchOf(sizes).map(([name, m, n, k, left, right]) => {
      const matrix = (label: string, order: 'row' | 'col', outer: number) => {
        const shape = order === 'row' ? [outer, k] : [k, outer];
        return { tensor: sample(label, ...shape), stride: shape[1], order };
      };
      const c = blank('c', m, n);
      const out = { tensor: c, stride: n };
      const [a, b] = [matrix('a', left, m), matrix('b', right, n)];
      return {
        name,
        c: [{ m, n, k, left: a, right: b, out }],
        out: [c],
      };
    }),
  key: ([first, ...others]) => {
    if (first.left.order === 'col') return 'weights';
    return [first, ...others].every((p) => p.n <= 64) ? 'narrow' : 'wide';
  },
};

/**
 * Appends products, in one launch where the variant can: each writes its own output, or they
 * accumulate into one (`isSum`). The order of summation depends on K, strides and variant alone, never
 * on M. Packed 16-bit operands need an even K (`row`) or N (`col`) and an even stride; operands in
 * blocks need whole ones.
 */
export function product(rec: Recorder, ...list: Products): void {
  if (list.length === 0) return;
  list.forEach(check);
  run(rec, products, list);
}

function check(p: Product): void {
  const { m, n, k, left, right, lowRank, residual, out } = p;
  const packing = right.tensor.dtype;
  invariant(packing !== 'u32', `${right.tensor.name} is no matrix`);
  const unit = isBlockType(packing) ? blockFormats[packing].elements : packing === 'f32' ? 1 : 2;
  const start = isBlockType(packing) ? (right.start ?? 0) : 0;
  invariant(
    [right.order === 'row' ? k : n, right.stride, start].every((v) => v % unit === 0),
    `${right.tensor.name}: part of a packed unit of ${unit}`,
  );
  const checkReach = (x: Matrix & { order?: 'row' | 'col' }, outer: number, inner: number) => {
    const [rows, width] = x.order === 'col' ? [inner, outer] : [outer, inner];
    const reach = (x.start ?? 0) + (rows - 1) * x.stride + width;
    invariant(reach <= sizeOf(x.tensor), `product reads past ${x.tensor.name}`);
  };
  checkReach(left, m, k);
  checkReach(right, n, k);
  checkReach(out, m, n);
  if (lowRank) {
    checkReach(lowRank.left, m, lowRank.k);
    checkReach(lowRank.right, n, lowRank.k);
  }
  invariant(!residual || sizeOf(residual) === sizeOf(out.tensor), 'residual of another size');
}
