// Files as streams: chunks of bytes, and text that is checked to be UTF-8 on the way.
import { InputError } from '../util/error.ts';
import { firstBadLine } from '../util/json.ts';
import type { ByteSource } from './source.ts';

/** How a file is read: may be cancelled, and says how far it is. */
export interface ReadControl {
  signal?: AbortSignal;
  /** Called with the bytes of the file that have been read so far. */
  onBytes?: (bytes: number) => void;
}

/** Bytes of a file that are read at a time. */
export const chunkBytes = 1 << 20;

/**
 * Bytes [start, end) of a source, a chunk at a time.
 * @throws the signal's reason once it is aborted
 */
export async function* byteChunks(
  source: ByteSource,
  { signal, onBytes }: ReadControl,
  start = 0,
  end = source.size,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (let at = start; at < end; at += chunkBytes) {
    signal?.throwIfAborted();
    const chunk = await source.read(at, Math.min(end, at + chunkBytes));
    onBytes?.(Math.min(end, at + chunkBytes));
    yield chunk;
  }
}

/**
 * UTF-8 text in pieces, none of them empty, without a byte-order mark.
 * @throws InputError('bad-data') for a binary file, or naming the line of the first byte that is
 *   not UTF-8
 */
export async function* textChunks(
  chunks: AsyncIterable<Uint8Array<ArrayBuffer>>,
  name: string,
): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let rest = new Uint8Array(0);
  let line = 1;
  let isFirst = true;
  const decode = (bytes: Uint8Array<ArrayBuffer>): string => {
    let text: string;
    try {
      text = decoder.decode(bytes);
    } catch {
      const at = line - 1 + firstBadLine(bytes, decoder);
      throw new InputError(
        'bad-data',
        `${name}: this is not UTF-8 text (first error in line ${at}).`,
      );
    }
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) line++;
    const start = isFirst && text.startsWith('\ufeff') ? 1 : 0;
    isFirst &&= bytes.length === 0;
    return text.slice(start);
  };
  for await (const chunk of chunks) {
    if (chunk.includes(0))
      throw new InputError('bad-data', `${name}: this is a binary file, not UTF-8 text.`);
    const bytes = rest.length === 0 ? chunk : joined(rest, chunk);
    const end = wholeCharacters(bytes);
    rest = bytes.slice(end);
    const text = decode(bytes.subarray(0, end));
    if (text !== '') yield text;
  }
  const text = decode(rest);
  if (text !== '') yield text;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** How many of these bytes come before a character that may be cut off at the end. */
function wholeCharacters(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back];
    if (byte >= 0xc0) {
      const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return length > back ? bytes.length - back : bytes.length;
    }
    if (byte < 0x80) return bytes.length;
  }
  return bytes.length;
}
