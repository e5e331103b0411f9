// Where bytes come from: a file that can be read in ranges, and a folder of them. Browsers and Node
// each make their own.

/** A readable file of known size. `read` returns bytes [start, end). */
export interface ByteSource {
  readonly name: string;
  readonly size: number;
  read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** A flat folder: `files` are names without a path. */
export interface Folder {
  readonly name: string;
  readonly files: readonly string[];
  open(name: string): ByteSource | undefined;
}

/** Wraps a browser `File` or `Blob`. */
export const blobSource = (blob: Blob, name: string): ByteSource => ({
  name,
  size: blob.size,
  read: async (start, end) => new Uint8Array(await blob.slice(start, end).arrayBuffer()),
});

/** Wraps bytes in memory. */
export const bytesSource = (bytes: Uint8Array<ArrayBuffer>, name: string): ByteSource => ({
  name,
  size: bytes.length,
  read: async (start, end) => bytes.slice(start, end),
});

/** A folder made of sources; later ones of the same name win. */
export function folderOf(name: string, sources: readonly ByteSource[]): Folder {
  const byName = new Map(sources.map((s) => [s.name, s]));
  return { name, files: [...byName.keys()], open: (n) => byName.get(n) };
}

/** The whole file. */
export const readAll = (source: ByteSource): Promise<Uint8Array<ArrayBuffer>> =>
  source.read(0, source.size);
