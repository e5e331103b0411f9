// The tile of a product by its shape, and into how many slices its K is cut.
import { isSum, type Product, type Products } from './case.ts';

/**
 * A workgroup's rows and columns of C, and how it works through K: `depth` at a time, which `lanes`
 * share; a thread holds `results` × `results`.
 */
export interface Tile {
  rows: number;
  columns: number;
  results: 1 | 4 | 8;
  lanes: number;
  depth: number;
}

// Largest first. Those of a list sum in one order.
const WIDE: readonly Tile[] = [
  { rows: 128, columns: 64, results: 8, lanes: 1, depth: 16 },
  { rows: 64, columns: 64, results: 4, lanes: 1, depth: 16 },
  { rows: 32, columns: 32, results: 4, lanes: 1, depth: 16 },
];
/** Up to 8 tokens, as in decoding: each weight is read once. It sums in the order of `WIDE`. */
const FEW: Tile = { rows: 8, columns: 8, results: 1, lanes: 1, depth: 128 };
const SKINNY: readonly Tile[] = [
  { rows: 16, columns: 16, results: 4, lanes: 16, depth: 64 },
  { rows: 8, columns: 8, results: 4, lanes: 16, depth: 64 },
  { rows: 4, columns: 8, results: 4, lanes: 16, depth: 64 },
];
/** A multiple of every depth. */
export const STEPS = 128;
/** Columns (of gradients of weights: or rows) up to which a product is skinny: LoRA's ranks. */
const SKINNIEST = 64;
/** Workgroups that occupy a large GPU: an H100 has 132 processors. */
const ENOUGH = 132;
/** Depths of a slice at least: of gradients of weights, and of the input of a head. */
const SLICE = { weights: 256, input: 4096 };

const workgroups = ({ rows, columns }: Tile, list: Products): number => {
  const groups = list.map(({ m, n }) => Math.ceil(m / rows) * Math.ceil(n / columns));
  return isSum(list) ? groups[0] : groups.reduce((a, b) => a + b);
};

/** The product with the largest output; it decides the tile of the whole launch. */
const largest = (list: Products): Product => list.reduce((a, b) => (b.m * b.n > a.m * a.n ? b : a));

/** Whether a product is a gradient of weights, which has tokens along K. */
const isOfWeights = ({ left }: Product): boolean => left.order === 'col';

/**
 * Into how many slices K is cut, whose sums are added in order. Forward products (the right by
 * rows) have one, because an answer with a cache and an evaluation in any batch promise equal bits.
 * Gradients are of training alone: those of weights may be cut as their shape asks, which is the
 * same in every run of the same settings; those of inputs by N and K, because the rows of logits at
 * a time change no bit.
 */
export function slicesOf(list: Products, tile: Tile): number {
  const p = largest(list);
  if (p.right.order === 'row' || p.lowRank || p.bias || p.residual) return 1;
  const groups = isOfWeights(p) ? workgroups(tile, list) : Math.ceil(p.n / 64);
  const most = Math.floor(p.k / (isOfWeights(p) ? SLICE.weights : SLICE.input));
  return Math.max(1, Math.min(Math.ceil(ENOUGH / groups), most));
}

/** Whether a tile is not mostly empty, and there are enough of them without slices by its size. */
function fits(list: Products, tile: Tile): boolean {
  const p = largest(list);
  if (2 * p.m <= tile.rows || 2 * p.n <= tile.columns) return false;
  const groups = workgroups(tile, list) * (isOfWeights(p) ? 1 : slicesOf(list, tile));
  // A large tile leaves room for one or two workgroups a processor, so it needs more of them.
  return groups >= (tile.results === 8 ? 2 : 1) * ENOUGH;
}

/**
 * The largest tile that fits. The order in which a sum over K is taken is that of the list, so it
 * depends on M in gradients of weights alone.
 */
export function tileOf(list: Products): Tile {
  const p = largest(list);
  const skinny = (isOfWeights(p) ? Math.min(p.m, p.n) : p.n) <= SKINNIEST;
  if (!skinny && p.m <= FEW.rows) return FEW;
  const tiles = skinny ? SKINNY : WIDE;
  return tiles.find((tile) => fits(list, tile)) ?? tiles[tiles.length - 1];
}
