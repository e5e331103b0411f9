// Reading and writing safetensors files. Reading trusts nothing: every claim of the header is
// checked against the file.
import type { BlockType } from '../../util/blocks.ts';
import { InputError, invariant } from '../../util/error.ts';
import { bf16ArrayToF32, f16ArrayToF32 } from '../../util/f16.ts';
import type { ByteSource } from '../source.ts';

/**
 * Bytes per element of every dtype that may stand in a file; those that `readF32` can turn into
 * numbers are F64, F32, F16 and BF16.
 */
const dtypeBytes = {
  F64: 8,
  I64: 8,
  U64: 8,
  F32: 4,
  I32: 4,
  U32: 4,
  F16: 2,
  BF16: 2,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
} as const;

export type Dtype = keyof typeof dtypeBytes;

/** How a tensor is stored: a dtype of safetensors, or in blocks of GGUF. */
export type StoredType = Dtype | Uppercase<BlockType>;

/** Where one tensor lies: bytes [start, end) of `source`. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: StoredType;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
  readonly source: ByteSource;
  /**
   * Rows of each head that lie as rotary pairs (0, D/2, 1, D/2 + 1, …), as in GGUF files of Llama:
   * `tensorPieces` puts them in order.
   */
  readonly pairedHead?: number;
}

export interface SafetensorsFile {
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

const maxHeader = 100_000_000;

/**
 * Reads the header of a safetensors file and checks it: length, JSON, dtypes, shapes, and that the
 * tensors' bytes fill the rest of the file without holes or overlaps. Throws InputError('bad-file')
 * that names the file and the tensor.
 */
export async function openSafetensors(source: ByteSource): Promise<SafetensorsFile> {
  const { name, size } = source;
  if (size === 0) throw bad(name, 'the file is empty');
  if (size < 8)
    throw bad(name, `the file has only ${size} bytes, too few for the 8-byte header length`);
  const head = await readBytes(source, 0, Math.min(size, 64));
  if (new TextDecoder().decode(head).startsWith('version https://git-lfs')) {
    throw bad(name, 'this is a Git LFS pointer, not the weights: fetch the real file');
  }
  const length = Number(new DataView(head.buffer, head.byteOffset).getBigUint64(0, true));
  if (length > maxHeader)
    throw bad(
      name,
      `the header claims ${length} bytes, more than the ${maxHeader} allowed: not a safetensors file, or damaged`,
    );
  if (8 + length > size)
    throw bad(
      name,
      `the header claims ${length} bytes, but only ${size - 8} follow: the file is cut off or damaged`,
    );
  const header = parseHeader(name, await readBytes(source, 8, 8 + length));

  const entries = new Map<string, TensorEntry>();
  let metadata: Record<string, string> = {};
  for (const [key, value] of Object.entries(header)) {
    if (key === '__metadata__') metadata = parseMetadata(name, value);
    else entries.set(key, parseEntry(source, 8 + length, key, value));
  }
  checkCover(name, [...entries.values()], 8 + length, size);
  return { entries, metadata };
}

const bad = (file: string, what: string) => new InputError('bad-file', `${file}: ${what}.`);
const isRecord = (v: unknown): v is Record<string, unknown> =>
  typeof v === 'object' && v !== null && !Array.isArray(v);
const isCount = (v: unknown): v is number => Number.isSafeInteger(v) && (v as number) >= 0;

/** Reads exactly [start, end), or says that the file is shorter than it was. */
async function readBytes(
  source: ByteSource,
  start: number,
  end: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await source.read(start, end);
  if (bytes.length !== end - start)
    throw bad(
      source.name,
      `wanted bytes ${start} to ${end}, but got ${bytes.length}: the file changed while being read`,
    );
  return bytes;
}

function parseHeader(file: string, bytes: Uint8Array): Record<string, unknown> {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw bad(file, 'the header is not UTF-8 text: not a safetensors file, or damaged');
  }
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (e) {
    throw bad(
      file,
      `the header is not valid JSON (${(e as Error).message}): not a safetensors file, or damaged`,
    );
  }
  if (!isRecord(header)) throw bad(file, 'the header is not a JSON object');
  const keys = topLevelKeys(text);
  const seen = new Set<string>();
  for (const key of keys) {
    if (seen.has(key)) throw bad(file, `tensor "${key}" appears twice`);
    seen.add(key);
  }
  return header;
}

/**
 * The keys of a JSON object as written, duplicates included (JSON.parse keeps the last one only).
 * `text` is valid JSON.
 */
function topLevelKeys(text: string): string[] {
  const keys: string[] = [];
  let depth = 0;
  for (const match of text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/gs)) {
    const token = match[0];
    if (token === '{' || token === '[') depth++;
    else if (token === '}' || token === ']') depth--;
    else if (depth === 1 && match[1] !== undefined)
      keys.push(JSON.parse(token.slice(0, token.length - match[1].length)));
  }
  return keys;
}

function parseMetadata(file: string, value: unknown): Record<string, string> {
  if (!isRecord(value)) throw bad(file, '__metadata__ is not an object');
  const pairs = Object.entries(value);
  for (const [key, v] of pairs)
    if (typeof v !== 'string') throw bad(file, `__metadata__ "${key}" is not a string`);
  return Object.fromEntries(pairs) as Record<string, string>;
}

function parseEntry(source: ByteSource, base: number, name: string, value: unknown): TensorEntry {
  const fail = (what: string) => bad(source.name, `tensor "${name}" ${what}`);
  if (!isRecord(value)) throw fail('is not described by an object');
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(dtypeBytes, dtype))
    throw fail(`has the unknown dtype ${JSON.stringify(dtype)}`);
  if (!Array.isArray(shape) || !shape.every(isCount))
    throw fail(`has the impossible shape ${JSON.stringify(shape)}`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    throw fail(`has impossible data_offsets ${JSON.stringify(offsets)}`);
  }
  const [from, to] = offsets as number[];
  if (from > to) throw fail(`ends (${to}) before it starts (${from})`);
  if (base + to > source.size) {
    throw fail(
      `claims bytes ${from} to ${to} of the data, but there are only ${source.size - base}: the file is cut off or damaged`,
    );
  }
  const wanted = shape.reduce((n: number, d: number) => n * d, dtypeBytes[dtype as Dtype]);
  if (to - from !== wanted)
    throw fail(
      `has ${to - from} bytes where shape [${shape.join(', ')}] in ${dtype} needs ${wanted}`,
    );
  return {
    name,
    dtype: dtype as Dtype,
    shape: shape as number[],
    start: base + from,
    end: base + to,
    source,
  };
}

function checkCover(file: string, entries: TensorEntry[], base: number, size: number): void {
  entries.sort((a, b) => a.start - b.start || a.end - b.end);
  let at = base;
  let previous = '';
  for (const e of entries) {
    if (e.start < at) throw bad(file, `tensors "${previous}" and "${e.name}" overlap`);
    if (e.start > at)
      throw bad(file, `${e.start - at} bytes before tensor "${e.name}" belong to no tensor`);
    at = e.end;
    previous = e.name;
  }
  if (at !== size) throw bad(file, `${size - at} bytes at the end belong to no tensor`);
}

/** The raw bytes of one tensor, little-endian, row-major. */
export const readTensor = (entry: TensorEntry): Promise<Uint8Array<ArrayBuffer>> =>
  readBytes(entry.source, entry.start, entry.end);

/** The values of one F32, F16, BF16 or F64 tensor as f32. Other dtypes: InputError('bad-file'). */
export async function readF32(entry: TensorEntry): Promise<Float32Array<ArrayBuffer>> {
  if (!['F32', 'F16', 'BF16', 'F64'].includes(entry.dtype)) {
    throw bad(
      entry.source.name,
      `tensor "${entry.name}" is ${entry.dtype}; only F32, F16, BF16 and F64 can be read as numbers`,
    );
  }
  return asF32(entry.dtype, await readTensor(entry));
}

/** Bytes of F32, F16, BF16 or F64 values, as f32. */
export function asF32(dtype: StoredType, raw: Uint8Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  const { buffer, byteOffset, byteLength } = raw.byteOffset % 8 === 0 ? raw : raw.slice();
  if (dtype === 'F32') return new Float32Array(buffer, byteOffset, byteLength / 4);
  if (dtype === 'F64')
    return Float32Array.from(new Float64Array(buffer, byteOffset, byteLength / 8));
  const halves = new Uint16Array(buffer, byteOffset, byteLength / 2);
  return dtype === 'F16' ? f16ArrayToF32(halves) : bf16ArrayToF32(halves);
}

type TensorData =
  | Float64Array
  | Float32Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array
  | BigInt64Array;

/** A tensor to write; `data` holds its elements (F16 and BF16: bit patterns in a Uint16Array). */
export interface TensorToWrite {
  name: string;
  dtype: Dtype;
  shape: readonly number[];
  data: TensorData;
}

/**
 * One safetensors file; a pure function of its arguments but for their order: widest dtype first,
 * then by name, header padded to 8 bytes.
 */
export function writeSafetensors(
  tensors: readonly TensorToWrite[],
  metadata?: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const sorted = [...tensors].sort(
    (a, b) => dtypeBytes[b.dtype] - dtypeBytes[a.dtype] || (a.name < b.name ? -1 : 1),
  );
  const header: Record<string, unknown> = {};
  if (metadata)
    header.__metadata__ = Object.fromEntries(
      Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1)),
    );
  let offset = 0;
  for (const { name, dtype, shape, data } of sorted) {
    invariant(!Object.hasOwn(header, name), `tensor "${name}" written twice`);
    const bytes = shape.reduce((n, d) => n * d, dtypeBytes[dtype]);
    invariant(
      data.byteLength === bytes,
      `tensor "${name}" has ${data.byteLength} bytes, its shape [${shape.join(', ')}] in ${dtype} needs ${bytes}`,
    );
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes] };
    offset += bytes;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = Math.ceil(text.length / 8) * 8;
  const out = new Uint8Array(8 + length + offset);
  new DataView(out.buffer).setBigUint64(0, BigInt(length), true);
  out.fill(0x20, 8, 8 + length);
  out.set(text, 8);
  let at = 8 + length;
  for (const { data } of sorted) {
    out.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return out;
}
