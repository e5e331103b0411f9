// What a product multiplies, and the params of its kernels.
import { type Dtype, type Tensor, wholeOf } from '../../graph/tensor.ts';

/** How a matrix's elements are stored (shaders/lib/packing). */
export type Packing = Exclude<Dtype, 'u32'>;

/**
 * A matrix inside a tensor: first element and the distance between its stored rows, both in
 * elements.
 */
export interface Matrix {
  tensor: Tensor;
  start?: number;
  stride: number;
}

/** A matrix stored by its rows (outer, K), or by columns (K, outer). */
export interface Operand extends Matrix {
  order: 'row' | 'col';
}

/** All rows of a tensor (outer, K) from an element on, or a part of each. */
export const byRows = (tensor: Tensor, start = 0): Operand => ({
  tensor,
  start,
  stride: tensor.shape[1],
  order: 'row',
});

/** As `byRows`, of what is stored (K, outer). */
export const byColumns = (tensor: Tensor, start = 0): Operand => ({
  ...byRows(tensor, start),
  order: 'col',
});

/** A product's operands; (M, K)·(K, N) whatever the storage. */
export interface Product {
  m: number;
  n: number;
  k: number;
  /** `row`: stored (M, K); `col`: stored (K, M). */
  left: Operand;
  /** `row`: stored (N, K); `col`: stored (K, N). */
  right: Operand;
  alpha?: number;
  /** A low-rank pair that is added, left stored (M, K₂), right in f32. */
  lowRank?: { k: number; left: Matrix; right: Operand; alpha?: number };
  /** (N) */
  bias?: Tensor;
  /** (M, N), of the layout of `out`. */
  residual?: Tensor;
  out: Matrix;
  accumulate?: 0 | 1;
  label?: string;
}

/** Products that may share a launch: each writes its own output, or they accumulate into one. */
export type Products = readonly Product[];

/**
 * Whether all products accumulate into the same output: the first writes it, the others add to it.
 */
export const isSum = ([first, ...others]: Products): boolean =>
  others.some(({ out }) => out.tensor === first.out.tensor && out.start === first.out.start);

const sameBuffer = (a?: Tensor, b?: Tensor): boolean => (a && wholeOf(a)) === (b && wholeOf(b));

/** Whether two products can share a launch: same storage orders, dtype and buffers. */
function areJoinable(p: Product, q: Product): boolean {
  const [a, b] = [productTensors(p), productTensors(q)];
  const orders = ({ left, right }: Product) => `${left.order} ${right.order} ${right.tensor.dtype}`;
  const pairs = p.lowRank && q.lowRank;
  return (
    orders(p) === orders(q) &&
    !(p.residual || q.residual) &&
    (isSum([p, q]) || (p.accumulate ?? 0) === (q.accumulate ?? 0)) &&
    (['a', 'b', 'c', 'bias'] as const).every((name) => sameBuffer(a[name], b[name])) &&
    (!pairs ||
      (a.a2 === b.a2 &&
        sameBuffer(a.b2, b.b2) &&
        p.lowRank?.right.order === q.lowRank?.right.order))
  );
}

/** Groups products, in order, into as few launches as possible, each of at most `most`. */
export function joined(list: Products, most: number): Products[] {
  const groups: Product[][] = [];
  for (const p of list) {
    const group = groups.find((g) => g.length < most && g.every((q) => areJoinable(p, q)));
    if (group) group.push(p);
    else groups.push([p]);
  }
  return groups;
}

/** What a product reads and writes, by the names of its kernels' bindings. */
export function productTensors({
  left,
  right,
  lowRank,
  bias,
  residual,
  out,
}: Product): Record<string, Tensor> {
  const tensors: Record<string, Tensor> = { a: left.tensor, b: right.tensor, c: out.tensor };
  if (lowRank) {
    tensors.a2 = lowRank.left.tensor;
    tensors.b2 = lowRank.right.tensor;
  }
  if (bias) tensors.bias = bias;
  if (residual) tensors.residual = residual;
  return tensors;
}

/** Params that every product kernel has. */
export const productParams = (p: Product): Record<string, number> => ({
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
});

/** Params of its low-rank pair; K₂ is 0 where there is none. */
export const lowRankParams = ({ lowRank }: Product): Record<string, number> => ({
  k2: lowRank?.k ?? 0,
  a2_start: lowRank?.left.start ?? 0,
  lda2: lowRank?.left.stride ?? 0,
  b2_start: lowRank?.right.start ?? 0,
  ldb2: lowRank?.right.stride ?? 0,
  alpha2: lowRank?.alpha ?? 1,
});

const byFours = (sizes: readonly (number | undefined)[]): boolean =>
  sizes.every((size = 0) => size % 4 === 0);

/** Whether a pair of operands can be read four elements at a time. */
export function readByFours({ m, n }: Product, k: number, left: Operand, right: Operand): boolean {
  const sizes = [k, left.start, left.stride, right.start, right.stride];
  if (left.order === 'col') sizes.push(m);
  if (right.order === 'col') sizes.push(n);
  return byFours(sizes);
}

/** Whether C can be written four elements at a time. */
export const writtenByFours = ({ n, out }: Product): boolean => byFours([n, out.start, out.stride]);

/** Multiplications and additions. */
export const productFlops = ({ m, n, k, lowRank }: Product): number =>
  2 * m * n * (k + (lowRank?.k ?? 0));
