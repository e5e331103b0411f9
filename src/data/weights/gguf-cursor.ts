// Reads a file from its beginning through a window, with every length checked against what is left
// of the file.
import { InputError } from '../../util/error.ts';
import type { ByteSource } from '../source.ts';

const WINDOW = 2 ** 20;

/**
 * A place in a file. Every function moves it on; `what` names the thing that is read, for the
 * message where the file ends before.
 */
export class Cursor {
  private window = new Uint8Array(0);
  private view = new DataView(this.window.buffer);
  private base = 0;
  private at = 0;
  private readonly strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  // U+FEFF is a token of its own
  private readonly lenient = new TextDecoder('utf-8', { ignoreBOM: true });

  constructor(readonly source: ByteSource) {}

  /** Bytes read so far. */
  get position(): number {
    return this.base + this.at;
  }

  private get left(): number {
    return this.source.size - this.position;
  }

  readonly fail = (what: string): InputError =>
    new InputError('bad-file', `${this.source.name}: ${what}.`);

  private async need(n: number, what: string): Promise<void> {
    if (this.at + n <= this.window.length) return;
    if (n > this.left) throw this.fail(`the file ends within ${what}: it is cut off or damaged`);
    const start = this.position;
    const end = Math.min(this.source.size, start + Math.max(n, WINDOW));
    this.window = await this.source.read(start, end);
    if (this.window.length !== end - start) throw this.fail('the file changed while being read');
    this.view = new DataView(this.window.buffer, this.window.byteOffset, this.window.length);
    [this.base, this.at] = [start, 0];
  }

  async u32(what: string): Promise<number> {
    await this.need(4, what);
    this.at += 4;
    return this.view.getUint32(this.at - 4, true);
  }

  /** A 64-bit whole number below 2^53. */
  async whole(what: string): Promise<number> {
    await this.need(8, what);
    const value = Number(this.view.getBigUint64(this.at, true));
    if (!Number.isSafeInteger(value)) throw this.fail(`${what} is ${value}: the file is damaged`);
    this.at += 8;
    return value;
  }

  /**
   * How many things follow, each of at least `bytes` bytes; no more than the rest of the file can
   * hold.
   */
  async count(what: string, bytes: number, most = Number.POSITIVE_INFINITY): Promise<number> {
    const n = await this.whole(what);
    if (n > most || n * bytes > this.left)
      throw this.fail(`${what} is ${n}, more than the file can hold: it is damaged`);
    return n;
  }

  private async string(what: string, most: number): Promise<Uint8Array> {
    const length = await this.whole(what);
    if (length > most || length > this.left)
      throw this.fail(`${what} has a text of ${length} bytes: the file is damaged`);
    if (this.at + length > this.window.length) await this.need(length, what);
    this.at += length;
    return this.window.subarray(this.at - length, this.at);
  }

  /** A name: UTF-8, not empty, at most 64 KiB. */
  async name(what: string): Promise<string> {
    const bytes = await this.string(what, 65_535);
    try {
      const text = this.strict.decode(bytes);
      if (text !== '') return text;
    } catch {
      throw this.fail(`the name of ${what} is not UTF-8 text: the file is damaged`);
    }
    throw this.fail(`the name of ${what} is empty`);
  }

  /** A text; bytes that are no UTF-8 become U+FFFD, as in tokens that are parts of characters. */
  async text(what: string, most: number): Promise<string> {
    return this.lenient.decode(await this.string(what, most));
  }

  /** A copy of the next n bytes, at the beginning of a buffer of its own. */
  async bytes(n: number, what: string): Promise<Uint8Array<ArrayBuffer>> {
    if (n > this.left) throw this.fail(`the file ends within ${what}: it is cut off or damaged`);
    const out = new Uint8Array(n);
    for (let done = 0; done < n; ) {
      if (this.at === this.window.length) await this.need(1, what);
      const piece = this.window.subarray(this.at, this.at + n - done);
      out.set(piece, done);
      this.at += piece.length;
      done += piece.length;
    }
    return out;
  }
}
