// A browser's private file system in memory, for tests in Node.
import type { Directory, FileEntry } from '../data/hub/opfs.ts';

const missing = (name: string) => new DOMException(`${name} is not there`, 'NotFoundError');

class MemoryFile implements FileEntry {
  #bytes = new Uint8Array(0);
  #open = false;
  constructor(
    private readonly name: string,
    private readonly room: { bytes: number },
  ) {}

  get size(): number {
    return this.#bytes.length;
  }

  async getFile() {
    return new File([this.#bytes], this.name);
  }

  async createSyncAccessHandle() {
    if (this.#open)
      throw new DOMException(`${this.name} is being written`, 'NoModificationAllowedError');
    this.#open = true;
    const resize = (size: number) => {
      if (size - this.#bytes.length > this.room.bytes)
        throw new DOMException('no room', 'QuotaExceededError');
      this.room.bytes -= size - this.#bytes.length;
      const next = new Uint8Array(size);
      next.set(this.#bytes.subarray(0, size));
      this.#bytes = next;
    };
    return {
      getSize: () => this.#bytes.length,
      read: (into: Uint8Array, { at }: { at: number }) => {
        const bytes = this.#bytes.subarray(at, at + into.length);
        into.set(bytes);
        return bytes.length;
      },
      write: (bytes: Uint8Array, { at }: { at: number }) => {
        if (at + bytes.length > this.#bytes.length) resize(at + bytes.length);
        this.#bytes.set(bytes, at);
        return bytes.length;
      },
      truncate: resize,
      flush: () => undefined,
      close: () => {
        this.#open = false;
      },
    };
  }
}

/** An empty directory; `room.bytes` is how much its files may still take. */
export class MemoryDirectory implements Directory {
  readonly directories = new Map<string, MemoryDirectory>();
  readonly files = new Map<string, MemoryFile>();
  constructor(readonly room = { bytes: Number.POSITIVE_INFINITY }) {}

  async getDirectoryHandle(name: string, options?: { create?: boolean }) {
    const found =
      this.directories.get(name) ?? (options?.create ? new MemoryDirectory(this.room) : null);
    if (!found) throw missing(name);
    this.directories.set(name, found);
    return found;
  }

  async getFileHandle(name: string, options?: { create?: boolean }) {
    const found =
      this.files.get(name) ?? (options?.create ? new MemoryFile(name, this.room) : null);
    if (!found) throw missing(name);
    this.files.set(name, found);
    return found;
  }

  async removeEntry(name: string) {
    if (!this.directories.delete(name) && !this.files.delete(name)) throw missing(name);
  }

  async *keys() {
    yield* this.directories.keys();
    yield* this.files.keys();
  }
}
