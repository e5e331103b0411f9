// Packing: examples end to end in rows of maxLength, so that little is padding; with positions, so
// that none sees another.
import { IGNORE } from '../dataset/example.ts';

/** What is packed: token ids with labels aligned as in Hugging Face. */
export interface Packable {
  ids: ArrayLike<number>;
  labels: ArrayLike<number>;
}

/** A row of examples end to end. */
export interface PackedRow {
  ids: Int32Array<ArrayBuffer>;
  /** The first label of each example is IGNORE: the token before it belongs to another one. */
  labels: Int32Array<ArrayBuffer>;
  /** Place of each token in its own example, from 0. */
  positions: Int32Array<ArrayBuffer>;
}

/**
 * Which examples share a row: the longest first, each into the first row that has room for it
 * (first-fit decreasing); of equal length in their order. Examples that are longer than `maxLength`
 * count as that long. Returns example numbers by row; a pure function of the lengths.
 */
export function packRows(lengths: readonly number[], maxLength: number): number[][] {
  const cut = lengths.map((n) => Math.min(n, maxLength));
  const order = [...cut.keys()].sort((a, b) => cut[b] - cut[a] || a - b);
  const rows: number[][] = [];
  const room = new RoomTree(lengths.length);
  for (const example of order) {
    const row = room.first(cut[example], rows.length) ?? rows.push([]) - 1;
    if (rows[row].length === 0) room.set(row, maxLength);
    rows[row].push(example);
    room.set(row, room.get(row) - cut[example]);
  }
  return rows;
}

/** The room of every row, with the first row that has enough of it found in logarithmic time. */
class RoomTree {
  readonly #leaves: number;
  readonly #most: Int32Array<ArrayBuffer>;

  constructor(rows: number) {
    this.#leaves = 2 ** Math.ceil(Math.log2(Math.max(1, rows)));
    this.#most = new Int32Array(2 * this.#leaves).fill(-1);
  }

  get(row: number): number {
    return this.#most[this.#leaves + row];
  }

  set(row: number, room: number): void {
    let node = this.#leaves + row;
    this.#most[node] = room;
    for (node >>= 1; node >= 1; node >>= 1)
      this.#most[node] = Math.max(this.#most[2 * node], this.#most[2 * node + 1]);
  }

  /** The first of `count` rows with this much room, or null. */
  first(needed: number, count: number): number | null {
    if (count === 0 || this.#most[1] < needed) return null;
    let node = 1;
    while (node < this.#leaves) node = this.#most[2 * node] >= needed ? 2 * node : 2 * node + 1;
    return node - this.#leaves;
  }
}

/** Lays the examples of a row end to end, each cut to maxLength. */
export function packRow(
  examples: readonly Packable[],
  numbers: readonly number[],
  maxLength: number,
): PackedRow {
  const lengths = numbers.map((n) => Math.min(examples[n].ids.length, maxLength));
  const total = lengths.reduce((sum, n) => sum + n, 0);
  const ids = new Int32Array(total);
  const labels = new Int32Array(total);
  const positions = new Int32Array(total);
  let at = 0;
  for (const [i, n] of numbers.entries()) {
    for (let t = 0; t < lengths[i]; t++) {
      ids[at + t] = examples[n].ids[t];
      labels[at + t] = t === 0 ? IGNORE : examples[n].labels[t];
      positions[at + t] = t;
    }
    at += lengths[i];
  }
  return { ids, labels, positions };
}
