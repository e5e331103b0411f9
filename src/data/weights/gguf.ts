// Reading GGUF files: metadata and where the tensors lie. Trusts nothing: every claim is checked
// against the file before memory is taken.
import { type BlockType, blockFormats, isBlockType } from '../../util/blocks.ts';
import { InputError } from '../../util/error.ts';
import type { ByteSource } from '../source.ts';
import { Cursor } from './gguf-cursor.ts';
import type { StoredType, TensorEntry } from './safetensors.ts';

/** An array of the metadata: strings, or numbers in their own width (booleans as bytes). */
export type MetadataArray =
  | readonly string[]
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | BigUint64Array
  | BigInt64Array
  | Float32Array
  | Float64Array;

/** A value of the metadata; 64-bit whole numbers are numbers where they are safe, else bigints. */
export type MetadataValue = number | bigint | boolean | string | MetadataArray;

export interface GgufFile {
  readonly name: string;
  readonly metadata: ReadonlyMap<string, MetadataValue>;
  /** By the names that the file gives them; shapes row-major. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

const MAX_ENTRIES = 65_536;
const MAX_STRING = 64 * 2 ** 20;

/** ggml's type numbers, also of types that are refused by name. */
const typeNames: Readonly<Record<number, string>> = {
  0: 'F32',
  1: 'F16',
  2: 'Q4_0',
  3: 'Q4_1',
  6: 'Q5_0',
  7: 'Q5_1',
  8: 'Q8_0',
  9: 'Q8_1',
  10: 'Q2_K',
  11: 'Q3_K',
  12: 'Q4_K',
  13: 'Q5_K',
  14: 'Q6_K',
  15: 'Q8_K',
  16: 'IQ2_XXS',
  17: 'IQ2_XS',
  18: 'IQ3_XXS',
  19: 'IQ1_S',
  20: 'IQ4_NL',
  21: 'IQ3_S',
  22: 'IQ2_S',
  23: 'IQ4_XS',
  24: 'I8',
  25: 'I16',
  26: 'I32',
  27: 'I64',
  28: 'F64',
  29: 'IQ1_M',
  30: 'BF16',
  34: 'TQ1_0',
  35: 'TQ2_0',
  39: 'MXFP4',
};
const plainBytes: Partial<Record<string, number>> = { F32: 4, F16: 2, BF16: 2 };
const readable = [
  ...Object.keys(plainBytes),
  ...Object.keys(blockFormats).map((t) => t.toUpperCase()),
];

/**
 * Reads the header of a GGUF file of version 2 or 3 through a window of it; tensors stay in the
 * file.
 * @throws InputError('bad-file') naming the file, and the key or tensor that is wrong
 */
export async function openGguf(source: ByteSource): Promise<GgufFile> {
  const cursor = new Cursor(source);
  const { fail } = cursor;
  const magic = await cursor.u32('the magic number');
  if (magic !== 0x46554747) throw fail('this is not a GGUF file: it does not begin with "GGUF"');
  const version = await cursor.u32('the version');
  if ((version & 0xffff) === 0 && version !== 0)
    throw fail('this GGUF file is big-endian; only little-endian ones can be read');
  if (version !== 2 && version !== 3)
    throw fail(`this GGUF file has version ${version}; only 2 and 3 can be read`);
  const tensorCount = await cursor.count('the number of tensors', 24, MAX_ENTRIES);
  const keyCount = await cursor.count('the number of metadata entries', 13, MAX_ENTRIES);
  const metadata = new Map<string, MetadataValue>();
  for (let i = 0; i < keyCount; i++) {
    const key = await cursor.name(`metadata entry ${i + 1}`);
    if (metadata.has(key)) throw fail(`the metadata has "${key}" twice`);
    metadata.set(key, await readValue(cursor, await cursor.u32(key), key));
  }
  const infos: TensorInfo[] = [];
  for (let i = 0; i < tensorCount; i++) infos.push(await readInfo(cursor, i));
  return {
    name: source.name,
    metadata,
    tensors: placeTensors(cursor, infos, alignmentOf(cursor, metadata)),
  };
}

const ARRAY = 9;
const STRING = 8;

async function readValue(cursor: Cursor, type: number, key: string): Promise<MetadataValue> {
  if (type === STRING) return cursor.text(key, MAX_STRING);
  if (type !== ARRAY) {
    const value = (await readNumbers(cursor, type, 1, key))[0];
    if (type === 7) return value !== 0;
    return typeof value === 'bigint' && value === BigInt.asIntN(54, value) ? Number(value) : value;
  }
  const inner = await cursor.u32(key);
  if (inner === ARRAY)
    throw cursor.fail(`the metadata "${key}" is a list of lists, which cannot be read`);
  if (inner !== STRING) return readNumbers(cursor, inner, await cursor.count(key, 1), key);
  const texts = new Array<string>(await cursor.count(key, 8));
  for (let i = 0; i < texts.length; i++) texts[i] = await cursor.text(key, MAX_STRING);
  return texts;
}

type Numbers = Exclude<MetadataArray, readonly string[]>;
const numbers: Readonly<Record<number, [bytes: number, (buffer: ArrayBuffer) => Numbers]>> = {
  0: [1, (b) => new Uint8Array(b)],
  1: [1, (b) => new Int8Array(b)],
  2: [2, (b) => new Uint16Array(b)],
  3: [2, (b) => new Int16Array(b)],
  4: [4, (b) => new Uint32Array(b)],
  5: [4, (b) => new Int32Array(b)],
  6: [4, (b) => new Float32Array(b)],
  7: [1, (b) => new Uint8Array(b)],
  10: [8, (b) => new BigUint64Array(b)],
  11: [8, (b) => new BigInt64Array(b)],
  12: [8, (b) => new Float64Array(b)],
};

async function readNumbers(
  cursor: Cursor,
  type: number,
  length: number,
  key: string,
): Promise<Numbers> {
  const known = numbers[type];
  if (!known) throw cursor.fail(`the metadata "${key}" has the unknown type ${type}`);
  const [bytes, view] = known;
  return view((await cursor.bytes(length * bytes, key)).buffer);
}

interface TensorInfo {
  name: string;
  type: StoredType;
  shape: number[];
  bytes: number;
  offset: number;
}

async function readInfo(cursor: Cursor, index: number): Promise<TensorInfo> {
  const name = await cursor.name(`tensor ${index + 1}`);
  const fail = (what: string) => cursor.fail(`tensor "${name}" ${what}`);
  const dimensions = await cursor.u32(name);
  if (dimensions < 1 || dimensions > 4) throw fail(`has ${dimensions} dimensions`);
  const shape: number[] = [];
  for (let d = 0; d < dimensions; d++) shape.unshift(await cursor.whole(`the shape of "${name}"`));
  const code = await cursor.u32(name);
  const type = typeNames[code] ?? `type ${code}`;
  if (!readable.includes(type)) throw fail(`is ${type}; only ${readable.join(', ')} can be read`);
  const block = type.toLowerCase();
  const { elements, bytes: size } = isBlockType(block)
    ? blockFormats[block]
    : { elements: 1, bytes: plainBytes[type] ?? 0 };
  const width = shape[shape.length - 1];
  if (width % elements !== 0)
    throw fail(`has rows of ${width}, but ${type} comes in blocks of ${elements}`);
  const count = shape.reduce((a, b) => a * b, 1);
  return {
    name,
    type: type as StoredType,
    shape,
    bytes: (count / elements) * size,
    offset: await cursor.whole(`the offset of "${name}"`),
  };
}

function alignmentOf(cursor: Cursor, metadata: ReadonlyMap<string, MetadataValue>): number {
  const value = metadata.get('general.alignment') ?? 32;
  if (typeof value !== 'number' || value < 8 || value > 2 ** 20 || (value & (value - 1)) !== 0)
    throw cursor.fail(`general.alignment is ${String(value)}, not a power of two of at least 8`);
  return value;
}

function placeTensors(
  cursor: Cursor,
  infos: readonly TensorInfo[],
  alignment: number,
): Map<string, TensorEntry> {
  const { source, fail } = cursor;
  const base = Math.ceil(cursor.position / alignment) * alignment;
  const tensors = new Map<string, TensorEntry>();
  for (const { name, type, shape, bytes, offset } of infos) {
    if (tensors.has(name)) throw fail(`tensor "${name}" appears twice`);
    if (offset % alignment !== 0)
      throw fail(`tensor "${name}" begins at ${offset}, which is not a multiple of ${alignment}`);
    const [start, end] = [base + offset, base + offset + bytes];
    if (!(end <= source.size))
      throw fail(
        `tensor "${name}" needs bytes ${start} to ${end}, but there are only ${source.size}: the file is cut off or damaged`,
      );
    tensors.set(name, { name, dtype: type, shape, start, end, source });
  }
  const sorted = [...tensors.values()].sort((a, b) => a.start - b.start || a.end - b.end);
  const clash = sorted.findIndex((t, i) => i > 0 && t.start < sorted[i - 1].end);
  if (clash > 0)
    throw fail(`tensors "${sorted[clash - 1].name}" and "${sorted[clash].name}" overlap`);
  return tensors;
}

/** The block type of a stored type, or undefined for plain numbers. */
export const blockTypeOf = (type: StoredType): BlockType | undefined => {
  const name = type.toLowerCase();
  return isBlockType(name) ? name : undefined;
};

/**
 * The metadata's text under a key.
 * @throws InputError where it is something else or, without `absent`, missing
 */
export function metadataText(file: GgufFile, key: string, absent?: string): string {
  const value = file.metadata.get(key) ?? absent;
  if (typeof value === 'string') return value;
  throw wrong(file, key, value, 'text');
}

/** As metadataText, of a number. */
export function metadataNumber(file: GgufFile, key: string, absent?: number): number {
  const value = file.metadata.get(key) ?? absent;
  if (typeof value === 'number') return value;
  throw wrong(file, key, value, 'a number');
}

const wrong = (file: GgufFile, key: string, value: unknown, wanted: string) =>
  new InputError(
    'bad-model',
    `${file.name}: the metadata "${key}" is ${value === undefined ? 'missing' : `not ${wanted}`}.`,
  );
