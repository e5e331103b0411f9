// Checks of a Parquet file's bytes before the library decodes them: what a broken file claims must
// not make it allocate or loop without end. What the library itself refuses is not checked.
import { deltaBinaryUnpack } from 'hyparquet/src/delta.js';

/** Bytes that one page may take, and values that it may have: 256 MiB of values of 16 bytes. */
export const largestPage = 256 * 2 ** 20;
export const mostValues = largestPage / 16;

/** A place in a page's bytes. */
interface Reader {
  view: DataView;
  offset: number;
}

/** What stands in front of a page's values, and how they are encoded. */
export interface PageLayout {
  values: number;
  encoding: string;
  type: string;
  maxRepetition: number;
  maxDefinition: number;
  /**
   * Version 2: lengths of the two kinds of levels, and values that are null. Null for version 1,
   * where the levels say all that.
   */
  v2: { repetitionBytes: number; definitionBytes: number; nulls: number } | null;
}

const width = (max: number) => 32 - Math.clz32(max);

function varint(reader: Reader): number {
  let result = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = reader.view.getUint8(reader.offset++);
    result += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return result;
  }
  throw new Error('a number is too long');
}

/**
 * The end of the Thrift struct that begins at `offset`. @throws RangeError where the bytes end
 * before it, Error where it holds lists that are longer than the bytes or structs inside one
 * another without end
 */
export function thriftEnd(view: DataView, offset: number): number {
  const reader = { view, offset };
  skipStruct(reader, 0);
  if (reader.offset > view.byteLength) throw new RangeError('the header ends too early');
  return reader.offset;
}

function skipStruct(reader: Reader, depth: number): void {
  if (depth > 32) throw new Error('a header is nested too deep');
  for (;;) {
    const byte = reader.view.getUint8(reader.offset++);
    const type = byte & 15;
    if (type === 0) return;
    if (byte >> 4 === 0) varint(reader);
    skipElement(reader, type, depth);
  }
}

function skipElement(reader: Reader, type: number, depth: number): void {
  if (type === 1 || type === 2) return;
  if (type === 3) reader.offset++;
  else if (type <= 6) skipVarint(reader);
  else if (type === 7) reader.offset += 8;
  else if (type === 8) {
    const length = varint(reader);
    reader.offset += length;
  } else if (type === 9) {
    const head = reader.view.getUint8(reader.offset++);
    const size = head >> 4 === 15 ? varint(reader) : head >> 4;
    if (size > reader.view.byteLength - reader.offset)
      throw new RangeError('a list is longer than the file');
    const element = head & 15;
    for (let i = 0; i < size; i++) skipElement(reader, element <= 2 ? 3 : element, depth + 1);
  } else if (type === 12) skipStruct(reader, depth + 1);
  else throw new Error('a header has parts of an unknown type');
}

function skipVarint(reader: Reader): void {
  for (let n = 0; n < 10; n++) if (reader.view.getUint8(reader.offset++) < 0x80) return;
  throw new Error('a number is too long');
}

/**
 * Checks levels and the run lengths of an unpacked data page.
 * @throws Error or RangeError where they do not fit the page
 */
export function checkDataPage(view: DataView, layout: PageLayout): void {
  const reader = { view, offset: 0 };
  const { values, v2, maxRepetition, maxDefinition } = layout;
  if (values > mostValues) throw new Error(`a page has more than ${mostValues} values`);
  if (v2 && !(v2.nulls >= 0 && v2.nulls <= values))
    throw new Error('a page has more nulls than values');
  const levels = (max: number, length: number | undefined): number => {
    if (max === 0) return values;
    const bytes = length ?? view.getUint32(reader.offset, true);
    if (length === undefined) reader.offset += 4;
    const end = reader.offset + bytes;
    if (end > view.byteLength) throw new RangeError('levels are longer than their page');
    const count = countRuns(reader, end, width(max), values, max);
    reader.offset = end;
    return count;
  };
  levels(maxRepetition, v2?.repetitionBytes);
  const found = levels(maxDefinition, v2?.definitionBytes);
  checkValues(reader, layout, v2 ? values - v2.nulls : found);
}

function checkValues(reader: Reader, { encoding, type, v2 }: PageLayout, count: number): void {
  const { byteLength } = reader.view;
  switch (encoding) {
    case 'PLAIN_DICTIONARY':
    case 'RLE_DICTIONARY':
    case 'RLE': {
      if (type === 'BOOLEAN') {
        reader.offset += 4;
        countRuns(reader, byteLength, 1, count, -1);
        break;
      }
      const isEmpty = count === 0 && reader.offset === byteLength;
      const bits = isEmpty ? 0 : reader.view.getUint8(reader.offset++);
      // Version 1 has no runs where a dictionary has one value.
      if (bits > 0 || v2) countRuns(reader, byteLength, bits, count, -1);
      break;
    }
    case 'DELTA_BINARY_PACKED':
    case 'DELTA_LENGTH_BYTE_ARRAY':
      checkBlocks(reader);
      break;
    case 'DELTA_BYTE_ARRAY': {
      const [shared, own] = [lengths(reader, count), lengths(reader, count)];
      let [before, total] = [0, 0];
      for (let i = 0; i < count; i++) {
        if (shared[i] < 0 || shared[i] > before || own[i] < 0)
          throw new Error('a text shares more than its predecessor has');
        before = shared[i] + own[i];
        total += before;
      }
      if (total > largestPage) throw new Error(`a page has more than ${largestPage} bytes of text`);
    }
  }
}

/** Checks the sizes in front of delta-encoded numbers, which say how far a reader goes. */
function checkBlocks({ view, offset }: Reader): void {
  const reader = { view, offset };
  const [block, parts] = [varint(reader), varint(reader)];
  if (parts < 1 || parts > 4096 || block > 2 ** 20 || block % parts !== 0)
    throw new Error('a page has blocks of an invalid size');
}

/** Delta-encoded lengths. */
function lengths(reader: Reader, count: number): Int32Array {
  checkBlocks(reader);
  const found = new Int32Array(count);
  deltaBinaryUnpack(reader, count, found);
  return found;
}

/** Walks over runs of `values` numbers and counts those that are `wanted`. */
function countRuns(
  reader: Reader,
  end: number,
  bits: number,
  values: number,
  wanted: number,
): number {
  const { view } = reader;
  let count = 0;
  for (let seen = 0; seen < values; ) {
    if (reader.offset >= end) throw new RangeError('runs end too early');
    const header = varint(reader);
    if (header % 2 === 0) {
      const length = header / 2;
      if (length > values - seen) throw new Error('a run is longer than its page');
      let value = 0;
      for (let shift = 0; shift < bits; shift += 8)
        value |= view.getUint8(reader.offset++) << shift;
      if (value === wanted) count += length;
      seen += length;
      continue;
    }
    const groups = (header - 1) / 2;
    if (bits === 0 && groups > values) throw new Error('a run is longer than its page');
    const length = Math.min(8 * groups, values - seen);
    if (wanted >= 0) {
      for (let i = 0; i < length; i++)
        if (bitsAt(view, reader.offset, i * bits, bits) === wanted) count++;
    }
    reader.offset += groups * bits;
    seen += length;
  }
  return count;
}

/** `bits` (at most 8) bits that begin `at` bits after a byte. */
function bitsAt(view: DataView, offset: number, at: number, bits: number): number {
  const byte = offset + (at >> 3);
  const low = view.getUint8(byte) >> (at & 7);
  const high = (at & 7) + bits > 8 ? view.getUint8(byte + 1) << (8 - (at & 7)) : 0;
  return (low | high) & ((1 << bits) - 1);
}
