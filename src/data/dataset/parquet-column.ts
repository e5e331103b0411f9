// One column of a Parquet row group, a page at a time: never more than a page and its dictionary
// are in memory.
import { decompress as unzstd } from 'fzstd';
import type { ColumnMetaData, Compressors, DecodedArray, SchemaTree } from 'hyparquet';
import { parquetHeader, readPage } from 'hyparquet/src/column.js';
import { convert, DEFAULT_PARSERS } from 'hyparquet/src/convert.js';
import { decompressPage } from 'hyparquet/src/datapage.js';
import { getMaxDefinitionLevel, getMaxRepetitionLevel, getTreePath } from 'hyparquet/src/schema.js';
import { decompressBrotli } from 'hyparquet-compressors/src/brotli.js';
import { gunzip } from 'hyparquet-compressors/src/gzip.js';
import { decompressLz4, decompressLz4Raw } from 'hyparquet-compressors/src/lz4.js';
import type { ByteSource } from '../source.ts';
import { checkDataPage, largestPage, mostValues, thriftEnd } from './parquet-checks.ts';

const compressors: Compressors = {
  GZIP: (input, length) => gunzip(input, new Uint8Array(length)),
  ZSTD: (input, length) => unzstd(input, new Uint8Array(length)),
  BROTLI: decompressBrotli,
  LZ4: decompressLz4,
  LZ4_RAW: decompressLz4Raw,
};

type Decoder = Parameters<typeof readPage>[2];
type Header = ReturnType<typeof parquetHeader>;

/** Bytes that are read at a time. */
const windowBytes = 1 << 20;
/** Bytes that a page's header may have. */
const longestHeader = 16 << 20;

/**
 * Reads a column chunk page by page; `take` hands out its rows in order. Errors are those of the
 * library and of the checks.
 */
export class ColumnReader {
  readonly path: readonly string[];
  readonly #decoder: Decoder;
  readonly #schemaPath: SchemaTree[];
  readonly #isRepeated: boolean;
  #at: number;
  readonly #end: number;
  #valuesLeft: number;
  #window = { start: 0, bytes: new Uint8Array(0) };
  #dictionary: DecodedArray | undefined;
  /**
   * Rows that have been read and not taken; of a repeated column the last one may go on in the next
   * page.
   */
  #rows: unknown[] = [];
  #taken = 0;

  constructor(
    private readonly source: ByteSource,
    meta: ColumnMetaData,
    schema: SchemaTree,
    private readonly onBytes: (at: number) => void,
  ) {
    this.path = meta.path_in_schema;
    this.#schemaPath = getTreePath(schema, meta.path_in_schema);
    const { element } = this.#schemaPath[this.#schemaPath.length - 1];
    this.#decoder = {
      ...meta,
      pathInSchema: meta.path_in_schema,
      element,
      schemaPath: this.#schemaPath,
      compressors,
      parsers: DEFAULT_PARSERS,
    };
    this.#isRepeated = getMaxRepetitionLevel(this.#schemaPath) > 0;
    const start = Number(meta.data_page_offset);
    const dictionary = Number(meta.dictionary_page_offset ?? 0n);
    this.#at = dictionary > 0 && dictionary < start ? dictionary : start;
    this.#end = this.#at + Number(meta.total_compressed_size);
    this.#valuesLeft = Number(meta.num_values);
    if (!(this.#at >= 4 && this.#end >= this.#at && this.#end <= source.size))
      throw new Error('a column lies outside the file');
  }

  /** Rows that can be taken now, after reading on where there are none; 0 at the end. */
  async available(): Promise<number> {
    for (;;) {
      const isAtEnd = this.#valuesLeft <= 0 || this.#at >= this.#end;
      const whole = this.#rows.length - this.#taken - (this.#isRepeated && !isAtEnd ? 1 : 0);
      if (whole > 0) return whole;
      if (isAtEnd) return 0;
      await this.#readPage();
    }
  }

  take(count: number): unknown[] {
    this.#taken += count;
    return this.#rows.slice(this.#taken - count, this.#taken);
  }

  /** Bytes [at, at + length) of the file, from the window that was read last or a new one. */
  async #bytes(at: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    let { start, bytes } = this.#window;
    if (at < start || at + length > start + bytes.length) {
      start = at;
      bytes = await this.source.read(at, Math.min(this.#end, at + Math.max(length, windowBytes)));
      this.#window = { start, bytes };
      this.onBytes(at + bytes.length);
    }
    if (at - start + length > bytes.length) throw new Error('a page reaches beyond its column');
    return bytes.subarray(at - start, at - start + length);
  }

  async #header(): Promise<Header> {
    for (let length = 1 << 12; ; length *= 16) {
      const bytes = await this.#bytes(this.#at, Math.min(length, this.#end - this.#at));
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      try {
        this.#at += thriftEnd(view, 0);
      } catch (e) {
        if (
          !(e instanceof RangeError) ||
          length >= longestHeader ||
          bytes.length === this.#end - this.#at
        )
          throw e;
        continue;
      }
      return parquetHeader({ view, offset: 0 });
    }
  }

  async #readPage(): Promise<void> {
    this.#rows = this.#rows.slice(this.#taken);
    this.#taken = 0;
    const header = await this.#header();
    const { compressed_page_size: packed, uncompressed_page_size: unpacked } = header;
    if (!(packed >= 0 && unpacked >= 0 && unpacked <= largestPage))
      throw new Error(`a page of ${unpacked} bytes cannot be read`);
    // A copy, so that values which are views of the page do not keep the window.
    const body = (await this.#bytes(this.#at, packed)).slice();
    this.#at += packed;
    const dictionary = header.dictionary_page_header;
    if (header.type === 'DICTIONARY_PAGE' && dictionary) {
      const page = decompressPage(body, unpacked, this.#decoder.codec, compressors);
      if (dictionary.num_values > mostValues)
        throw new Error(`a dictionary has more than ${mostValues} values`);
      const { data } = this.#decode(header, page);
      this.#dictionary = data && convert(data, this.#decoder);
    } else if (header.type === 'DATA_PAGE' || header.type === 'DATA_PAGE_V2')
      this.#addPage(header, body);
  }

  #addPage(header: Header, body: Uint8Array<ArrayBuffer>): void {
    const { data_page_header: v1, data_page_header_v2: v2 } = header;
    const head = header.type === 'DATA_PAGE' ? v1 : v2;
    if (!head || !(head.num_values >= 0)) throw new Error('a page has no header');
    if (head.num_values === 0) return;
    const layout =
      header.type === 'DATA_PAGE_V2' && v2
        ? {
            repetitionBytes: v2.repetition_levels_byte_length,
            definitionBytes: v2.definition_levels_byte_length,
            nulls: v2.num_nulls,
          }
        : null;
    const levels = layout ? layout.repetitionBytes + layout.definitionBytes : 0;
    const page = this.#unpack(header, body, levels);
    checkDataPage(new DataView(page.buffer, page.byteOffset, page.byteLength), {
      values: head.num_values,
      encoding: head.encoding,
      type: this.#decoder.type,
      maxRepetition: getMaxRepetitionLevel(this.#schemaPath),
      maxDefinition: getMaxDefinitionLevel(this.#schemaPath),
      v2: layout,
    });
    this.#valuesLeft -= head.num_values;
    const { data } = this.#decode(header, page);
    if (!data) return;
    if (this.#isRepeated)
      this.#rows = data as unknown[]; // goes on with the rows that were there
    else for (const value of data as ArrayLike<unknown> & Iterable<unknown>) this.#rows.push(value);
  }

  /** A data page as it was before it was packed: in version 2 the levels are not packed. */
  #unpack(
    { uncompressed_page_size: size, data_page_header_v2: v2 }: Header,
    body: Uint8Array<ArrayBuffer>,
    levels: number,
  ): Uint8Array {
    const { codec } = this.#decoder;
    if (!(levels >= 0 && levels <= Math.min(size, body.length)))
      throw new Error('levels are longer than their page');
    if (levels === 0 || !v2)
      return v2?.is_compressed === false ? body : decompressPage(body, size, codec, compressors);
    const page = new Uint8Array(size);
    page.set(body.subarray(0, levels));
    const packed = body.subarray(levels);
    page.set(
      v2.is_compressed && packed.length > 0
        ? decompressPage(packed, size - levels, codec, compressors)
        : packed,
      levels,
    );
    return page;
  }

  /** Has the library decode an unpacked page. */
  #decode(header: Header, page: Uint8Array) {
    const sizes = { compressed_page_size: page.length, uncompressed_page_size: page.length };
    const v2 = header.data_page_header_v2 && {
      ...header.data_page_header_v2,
      is_compressed: false,
    };
    const reader = { view: new DataView(page.buffer, page.byteOffset, page.byteLength), offset: 0 };
    const decoder: Decoder = { ...this.#decoder, codec: 'UNCOMPRESSED' };
    const previous = this.#isRepeated ? (this.#rows as DecodedArray) : undefined;
    return readPage(
      reader,
      { ...header, ...sizes, data_page_header_v2: v2 },
      decoder,
      this.#dictionary,
      previous,
      0,
    );
  }
}
