// Records a matrix product C = α·A·B (+ α₂·A₂·B₂) (+ bias), with optional accumulation, in the
// run's kernel variant.
import type { Recorder } from '../../graph/recorder.ts';
import { sizeOf, type Tensor } from '../../graph/tensor.ts';
import { blockFormats, isBlockType } from '../../util/blocks.ts';
import { invariant } from '../../util/error.ts';
import { type Form, productKernel, type Variant } from './generator.ts';
import type { Block } from './unrolled/body.ts';

/**
 * A matrix inside a tensor: first element and the distance between its stored rows, both in
 * elements.
 */
export interface Matrix {
  tensor: Tensor;
  start?: number;
  stride: number;
}

/** A product's operands; (M, K)·(K, N) whatever the storage. */
export interface Product {
  m: number;
  n: number;
  k: number;
  /** `row`: stored (M, K); `col`: stored (K, M). */
  left: Matrix & { order: 'row' | 'col' };
  /** `row`: stored (N, K); `col`: stored (K, N). */
  right: Matrix & { order: 'row' | 'col' };
  alpha?: number;
  /** A second pair, left stored (M, K₂). */
  second?: { k: number; left: Matrix; right: Matrix & { order: 'row' | 'col' }; alpha?: number };
  bias?: Tensor;
  out: Matrix;
  accumulate?: 0 | 1;
  label?: string;
}

/**
 * Register blocks, measured (docs/bench.md): large ones are faster and slower to compile, so small
 * products take small ones.
 */
export function blockFor(variant: Variant, m: number, n: number, k: number): Block {
  const flops = 2 * m * n * k;
  if (flops < 4e6) return { rows: 16, columns: 4 };
  return variant === 'subgroup' && flops >= 5e7
    ? { rows: 16, columns: 16 }
    : { rows: 16, columns: 8 };
}

const row = 'row' as const;
const of4 = (...sizes: number[]): boolean => sizes.every((v) => v % 4 === 0);

/** Whether a pair of operands can be read four elements at a time. */
function vectorisable(m: number, n: number, k: number, left: Ordered, right: Ordered): boolean {
  return of4(
    k,
    left.start ?? 0,
    left.stride,
    right.start ?? 0,
    right.stride,
    left.order === 'col' ? m : 0,
    right.order === 'col' ? n : 0,
  );
}

type Ordered = Matrix & { order: 'row' | 'col' };

/**
 * Appends a product. The order of summation depends on K, strides and variant alone, never on M.
 * Packed 16-bit operands need an even K (`row`) or N (`col`) and an even stride; operands in blocks
 * need whole ones.
 */
export function product(rec: Recorder, p: Product): void {
  const packing = p.right.tensor.dtype;
  invariant(packing !== 'u32', `${p.right.tensor.name} is no matrix`);
  const unit = isBlockType(packing) ? blockFormats[packing].elements : packing === 'f32' ? 1 : 2;
  const whole = [
    p.right.order === 'row' ? p.k : p.n,
    p.right.stride,
    isBlockType(packing) ? (p.right.start ?? 0) : 0,
  ];
  invariant(
    whole.every((v) => v % unit === 0),
    `${p.right.tensor.name}: part of a packed unit of ${unit}`,
  );
  const reach = (m: Matrix, outer: number, inner: number) =>
    (m.start ?? 0) + (outer - 1) * m.stride + inner;
  const check = (m: Matrix, outer: number, inner: number) =>
    invariant(reach(m, outer, inner) <= sizeOf(m.tensor), `product reads past ${m.tensor.name}`);
  check(p.left, p.left.order === 'row' ? p.m : p.k, p.left.order === 'row' ? p.k : p.m);
  check(p.right, p.right.order === 'row' ? p.n : p.k, p.right.order === 'row' ? p.k : p.n);
  check(p.out, p.m, p.n);
  const variant = rec.variants.product;
  const registers = variant !== 'tile';
  const vector = registers && vectorisable(p.m, p.n, p.k, p.left, p.right);
  invariant(
    vector || !registers || !isBlockType(packing) || p.right.order === 'col',
    `${p.left.tensor.name}: not read by fours`,
  );
  const form: Form = {
    left: p.left.order,
    right: p.right.order,
    packing,
    second: p.second?.right.order ?? null,
    bias: Boolean(p.bias),
    vector,
    vectorOut: of4(p.n, p.out.start ?? 0, p.out.stride),
    vector2:
      registers &&
      Boolean(
        p.second &&
          vectorisable(p.m, p.n, p.second.k, { ...p.second.left, order: row }, p.second.right),
      ),
  };
  const { kernel, tile } = productKernel(form, variant, blockFor(variant, p.m, p.n, p.k));
  const tensors: Record<string, Tensor> = { a: p.left.tensor, b: p.right.tensor, c: p.out.tensor };
  const params: Record<string, number> = {
    m: p.m,
    n: p.n,
    k: p.k,
    a_start: p.left.start ?? 0,
    lda: p.left.stride,
    b_start: p.right.start ?? 0,
    ldb: p.right.stride,
    c_start: p.out.start ?? 0,
    ldc: p.out.stride,
    alpha: p.alpha ?? 1,
    accumulate: p.accumulate ?? 0,
  };
  if (p.second) {
    const { second } = p;
    check(second.left, p.m, second.k);
    check(
      second.right,
      second.right.order === 'row' ? p.n : second.k,
      second.right.order === 'row' ? second.k : p.n,
    );
    Object.assign(tensors, { a2: second.left.tensor, b2: second.right.tensor });
    Object.assign(params, {
      k2: second.k,
      a2_start: second.left.start ?? 0,
      lda2: second.left.stride,
      b2_start: second.right.start ?? 0,
      ldb2: second.right.stride,
      alpha2: second.alpha ?? 1,
    });
  }
  if (p.bias) tensors.bias = p.bias;
  rec.launch({
    kernel,
    tensors,
    params,
    // Rows first: a block of weights stays in cache while all rows pass it.
    workgroups: [Math.ceil(p.m / tile.rows), Math.ceil(p.n / tile.columns), 1],
    flops: 2 * p.m * p.n * (p.k + (p.second?.k ?? 0)),
    label: p.label ?? kernel.name,
  });
}
