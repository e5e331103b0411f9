// Rows of a Parquet file, read page by page: only the columns that a format has a use for, a batch
// of rows at a time.
import { type FileMetaData, parquetMetadata, parquetSchema, type SchemaTree } from 'hyparquet';
import { assembleNested } from 'hyparquet/src/assemble.js';
import { DEFAULT_PARSERS } from 'hyparquet/src/convert.js';
import { InputError } from '../../util/error.ts';
import type { ByteSource } from '../source.ts';
import type { ReadControl } from '../stream.ts';
import { thriftEnd } from './parquet-checks.ts';
import { ColumnReader } from './parquet-column.ts';
import type { Columns } from './roles.ts';
import type { Row } from './row.ts';
import { formatColumns, formatOf, wantedNames } from './row-content.ts';

/** Rows that are put together at a time. */
const batchRows = 256;
/** Bytes that a file's own description may have. */
const longestFooter = 64 * 2 ** 20;

/**
 * The rows of a Parquet file; a row's line is its number. @throws InputError('bad-data') where the
 * file is broken, has parts that cannot be read, or no column that is known
 */
export async function* parquetRows(
  source: ByteSource,
  columns: Columns | null,
  { signal, onBytes }: ReadControl,
): AsyncGenerator<Row[]> {
  const { name } = source;
  const guarded = async <T>(work: () => T | Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (e) {
      throw e instanceof InputError
        ? e
        : new InputError(
            'bad-data',
            `${name}: this Parquet file cannot be read (${(e as Error).message}).`,
          );
    }
  };
  const { metadata, schema } = await guarded(async () => {
    const metadata = parquetMetadata(await footer(source), { geoparquet: false });
    return { metadata, schema: parquetSchema(metadata) };
  });
  const wanted = wantedColumns(name, schema, columns);
  let line = 1;
  for (const group of metadata.row_groups) {
    signal?.throwIfAborted();
    const readers = await guarded(() =>
      openColumns(source, group, schema, wanted, (at) => onBytes?.(at)),
    );
    for (let left = Number(group.num_rows); left > 0; ) {
      signal?.throwIfAborted();
      const batch = await guarded(() => nextRows(readers, wanted, left));
      left -= batch.length;
      yield batch.map((value) => rowOf(line++, value));
    }
  }
}

const rowOf = (line: number, value: Record<string, unknown>): Row => ({
  line,
  get raw() {
    return JSON.stringify(value);
  },
  value: () => value,
});

/** The names of a Parquet file's top-level columns. @throws Error where the file is broken */
export async function parquetColumns(source: ByteSource): Promise<string[]> {
  const schema = parquetSchema(parquetMetadata(await footer(source), { geoparquet: false }));
  return schema.children.map((child) => child.element.name);
}

/** The end of the file, from its description on. */
async function footer(source: ByteSource): Promise<Uint8Array> {
  const tail = await source.read(Math.max(0, source.size - 8), source.size);
  if (tail.length < 8 || new TextDecoder().decode(tail.subarray(4)) !== 'PAR1')
    throw new Error('its end is not that of a Parquet file');
  const length = new DataView(tail.buffer, tail.byteOffset).getUint32(0, true);
  if (length + 12 > source.size) throw new Error('its footer is longer than the file');
  if (length > longestFooter) throw new Error(`its footer has ${length} bytes, which is too many`);
  const bytes = await source.read(source.size - 8 - length, source.size);
  thriftEnd(new DataView(bytes.buffer, bytes.byteOffset, length), 0);
  return bytes;
}

/** The top-level columns to read. */
function wantedColumns(name: string, schema: SchemaTree, columns: Columns | null): SchemaTree[] {
  const names = schema.children.map((child) => child.element.name);
  if (formatOf(new Set(names), columns) === null) {
    const there = names.map((n) => JSON.stringify(n)).join(', ');
    throw new InputError(
      'bad-data',
      `${name}: it needs the columns ${wantedNames(columns)}; it has ${there.slice(0, 300)}.`,
    );
  }
  const known = formatColumns(columns);
  return schema.children.filter((child) => known.has(child.element.name));
}

function openColumns(
  source: ByteSource,
  group: FileMetaData['row_groups'][number],
  schema: SchemaTree,
  wanted: readonly SchemaTree[],
  onBytes: (at: number) => void,
): ColumnReader[] {
  const names = new Set(wanted.map((column) => column.element.name));
  const metas = group.columns.flatMap(({ meta_data: meta }) =>
    meta && names.has(meta.path_in_schema[0]) ? [meta] : [],
  );
  for (const column of leaves(wanted)) {
    if (!metas.some((meta) => meta.path_in_schema.join('.') === column))
      throw new Error(`the column ${column} is missing`);
  }
  return metas.map((meta) => new ColumnReader(source, meta, schema, onBytes));
}

const leaves = (columns: readonly SchemaTree[]): string[] =>
  columns.flatMap((column) =>
    column.children.length === 0 ? [column.path.join('.')] : leaves(column.children),
  );

/** The next rows: as many as every column has, at most a batch and `left`. */
async function nextRows(
  readers: readonly ColumnReader[],
  wanted: readonly SchemaTree[],
  left: number,
): Promise<Record<string, unknown>[]> {
  let count = Math.min(batchRows, left);
  for (const reader of readers) count = Math.min(count, await reader.available());
  if (count === 0) throw new Error('a column has fewer rows than its group');
  const taken = new Map(readers.map((reader) => [reader.path.join('.'), reader.take(count)]));
  const rows: Record<string, unknown>[] = Array.from({ length: count }, () => ({}));
  for (const column of wanted) {
    const { name } = column.element;
    if (column.children.length > 0) assembleNested(taken, column, DEFAULT_PARSERS);
    const values = taken.get(name);
    if (!values) throw new Error(`the column ${name} cannot be assembled`);
    for (const [i, row] of rows.entries()) row[name] = plain(values[i]);
  }
  return rows;
}

/** As JSON would have it: whole numbers of any width are numbers. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  if (ArrayBuffer.isView(value)) return Array.from(value as Uint8Array, plain);
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, plain(part)]));
}
