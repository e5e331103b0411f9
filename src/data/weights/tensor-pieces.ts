// A stored tensor in pieces of whole rows, so that it never lies in memory as a whole.
import { InputError } from '../../util/error.ts';
import type { TensorEntry } from './safetensors.ts';

/** Bytes of a piece, unless a row (or a head, where its rows are put in order) is larger. */
const PIECE = 4 * 2 ** 20;

/**
 * The bytes of rows [first, first + count) of a tensor, in order, as the file stores them; a vector
 * has one element a row. Rows of a `pairedHead` are put into the order of Hugging Face; `first` and
 * `count` are then of whole heads.
 * @throws InputError when the file has become shorter
 */
export async function* tensorPieces(
  entry: TensorEntry,
  first: number,
  count: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const { start, end, source, pairedHead = 1 } = entry;
  const rowBytes = (end - start) / (entry.shape[0] ?? 1);
  const rows = Math.max(1, Math.floor(PIECE / rowBytes / pairedHead)) * pairedHead;
  for (let row = first; row < first + count; row += rows) {
    const from = start + row * rowBytes;
    const to = start + Math.min(first + count, row + rows) * rowBytes;
    const bytes = await source.read(from, to);
    if (bytes.length !== to - from)
      throw new InputError(
        'bad-file',
        `${source.name}: tensor "${entry.name}" cannot be read whole: the file changed while being read.`,
      );
    yield pairedHead > 1 ? unpair(bytes, rowBytes, pairedHead) : bytes;
  }
}

/** Rows (heads, D/2, 2) to (heads, 2, D/2). */
function unpair(
  bytes: Uint8Array<ArrayBuffer>,
  rowBytes: number,
  headDim: number,
): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(bytes.length);
  const half = headDim / 2;
  for (let row = 0; row * rowBytes < bytes.length; row++) {
    const inHead = row % headDim;
    const from = row - inHead + 2 * (inHead % half) + Math.floor(inHead / half);
    out.set(bytes.subarray(from * rowBytes, (from + 1) * rowBytes), row * rowBytes);
  }
  return out;
}
