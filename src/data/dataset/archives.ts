// Dataset files as they are named: plain, packed with gzip, or the files inside a zip archive.
import { Gunzip, Inflate } from 'fflate';
import { InputError } from '../../util/error.ts';
import type { ByteSource } from '../source.ts';
import { byteChunks, type ReadControl } from '../stream.ts';

/**
 * One dataset file: its bytes as a stream, or, where a reader has to jump about in it, as a source.
 */
export interface DataFile {
  /** As shown to people; inside an archive "archive.zip/inner.jsonl". */
  name: string;
  chunks(): AsyncIterable<Uint8Array<ArrayBuffer>>;
  /** @throws InputError where the file would have to be unpacked and is larger than 256 MiB */
  source(): Promise<ByteSource>;
}

const largestUnpacked = 256 * 2 ** 20;

/**
 * The dataset files that a file stands for.
 * @throws InputError('bad-data') for a broken archive or one without files
 */
export async function dataFiles(source: ByteSource, control: ReadControl): Promise<DataFile[]> {
  const { name } = source;
  if (/\.zip$/i.test(name)) return zipFiles(source, control);
  if (!/\.gz$/i.test(name))
    return [{ name, chunks: () => byteChunks(source, control), source: async () => source }];
  return [
    unpacked(name.slice(0, -3), () => inflated(byteChunks(source, control), new Gunzip(), name)),
  ];
}

function unpacked(name: string, chunks: () => AsyncIterable<Uint8Array<ArrayBuffer>>): DataFile {
  return { name, chunks, source: () => inMemory(name, chunks()) };
}

async function inMemory(
  name: string,
  chunks: AsyncIterable<Uint8Array<ArrayBuffer>>,
): Promise<ByteSource> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const part of chunks) {
    size += part.length;
    if (size > largestUnpacked) {
      throw new InputError(
        'bad-data',
        `${name}: larger than ${largestUnpacked / 2 ** 20} MiB when unpacked: unpack it first.`,
      );
    }
    parts.push(part);
  }
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  return { name, size, read: async (start, end) => bytes.slice(start, end) };
}

/**
 * What a stream of packed bytes unpacks to, checked by its size: `size`, or what gzip says at the
 * end of its last part. The packed pieces handed on are small, so that a bomb cannot fill the
 * memory.
 */
async function* inflated(
  chunks: AsyncIterable<Uint8Array<ArrayBuffer>>,
  unpacker: Gunzip | Inflate,
  name: string,
  size: number | null = null,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const out: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  let tail = new Uint8Array(0);
  if (unpacker instanceof Gunzip) unpacker.onmember = () => (length = 0);
  unpacker.ondata = (data) => {
    length += data.length;
    if (data.length > 0) out.push(data.slice());
  };
  const push = (bytes: Uint8Array, isLast: boolean) => {
    try {
      unpacker.push(bytes, isLast);
    } catch (e) {
      throw new InputError('bad-data', `${name}: it cannot be unpacked (${(e as Error).message}).`);
    }
  };
  const piece = 1 << 14;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += piece) {
      push(chunk.subarray(at, at + piece), false);
      yield* out.splice(0);
    }
    tail = new Uint8Array([...tail, ...chunk.subarray(-4)]).slice(-4);
  }
  push(new Uint8Array(0), true);
  yield* out.splice(0);
  const expected = size ?? (tail.length === 4 ? new DataView(tail.buffer).getUint32(0, true) : -1);
  if (length % 2 ** 32 !== expected)
    throw new InputError('bad-data', `${name}: it cannot be unpacked (it is cut off or damaged).`);
}

/** The files of a zip archive that are not hidden, in its own order. */
async function zipFiles(archive: ByteSource, control: ReadControl): Promise<DataFile[]> {
  const bad = (what: string) => new InputError('bad-data', `${archive.name}: ${what}.`);
  const broken = () => bad('this is not a readable zip archive');
  const tail = await archive.read(Math.max(0, archive.size - 65_557), archive.size);
  const view = new DataView(tail.buffer);
  let at = tail.length - 22;
  while (at >= 0 && view.getUint32(at, true) !== 0x06054b50) at--;
  if (at < 0) throw broken();
  const [size, start] = [view.getUint32(at + 12, true), view.getUint32(at + 16, true)];
  if (start === 0xffffffff || size === 0xffffffff)
    throw bad('archives of 4 GiB and more (zip64) cannot be read');
  if (start + size > archive.size) throw broken();
  const directory = await archive.read(start, start + size);
  const entries = zipEntries(directory).filter(
    ({ name }) => !/(^|\/)(\.|__MACOSX\/)|\/$/.test(name),
  );
  if (entries.length === 0) throw bad('the archive is empty');
  return entries.map((entry) => {
    const name = `${archive.name}/${entry.name}`;
    if (entry.encrypted)
      throw new InputError('bad-data', `${name}: it is encrypted; decrypt it first.`);
    if (entry.method !== 0 && entry.method !== 8)
      throw new InputError(
        'bad-data',
        `${name}: its compression is not supported; unpack it first.`,
      );
    const dataStart = async () => {
      const head = await archive.read(entry.offset, entry.offset + 30);
      if (head.length < 30) throw broken();
      const local = new DataView(head.buffer);
      if (local.getUint32(0, true) !== 0x04034b50) throw broken();
      const from = entry.offset + 30 + local.getUint16(26, true) + local.getUint16(28, true);
      if (from + entry.packed > archive.size) throw broken();
      return from;
    };
    async function* packed() {
      const from = await dataStart();
      yield* byteChunks(archive, control, from, from + entry.packed);
    }
    if (entry.method === 8)
      return unpacked(name, () => inflated(packed(), new Inflate(), name, entry.size));
    const source = async (): Promise<ByteSource> => {
      const from = await dataStart();
      return {
        name,
        size: entry.packed,
        read: (a, b) => archive.read(from + a, from + Math.min(b, entry.packed)),
      };
    };
    return { name, chunks: packed, source };
  });
}

/** The entries of a central directory, up to the first that is broken. */
function zipEntries(directory: Uint8Array<ArrayBuffer>) {
  const view = new DataView(directory.buffer);
  const entries: {
    name: string;
    encrypted: boolean;
    method: number;
    packed: number;
    size: number;
    offset: number;
  }[] = [];
  for (let at = 0; at + 46 <= directory.length && view.getUint32(at, true) === 0x02014b50; ) {
    const nameLength = view.getUint16(at + 28, true);
    entries.push({
      name: new TextDecoder().decode(directory.subarray(at + 46, at + 46 + nameLength)),
      encrypted: (view.getUint16(at + 8, true) & 1) === 1,
      method: view.getUint16(at + 10, true),
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      offset: view.getUint32(at + 42, true),
    });
    at += 46 + nameLength + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return entries;
}
