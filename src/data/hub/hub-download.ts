// One file of the Hub into a file of ours: from where it stands, checked against the Hub's hash at
// the end.
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { InputError } from '../../util/error.ts';
import type { HubFile } from './hub.ts';
import { type HubAccess, Passing, patiently, request } from './hub-request.ts';

/** A file that is written in place: a FileSystemSyncAccessHandle, or what does the same. */
export interface Part {
  getSize(): number;
  read(into: Uint8Array<ArrayBuffer>, options: { at: number }): number;
  write(bytes: Uint8Array<ArrayBuffer>, options: { at: number }): number;
  truncate(size: number): void;
  flush(): void;
}

const pieceBytes = 4 << 20;

/**
 * Fetches what is missing of a file at a commit, in one stream; where it breaks off, from there
 * with a Range.
 * @param onBytes bytes of the file that are here
 * @throws the signal's reason when it is aborted; InputError('hub') otherwise. What has come stays
 *   in `part`, but for a file with a wrong hash
 */
export async function downloadFile(
  { id, commit }: { id: string; commit: string },
  file: HubFile,
  part: Part,
  access: HubAccess,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const what = `${id}: ${file.path}`;
  const path = file.path.split('/').map(encodeURIComponent).join('/');
  const url = `${access.address}/${id}/resolve/${commit}/${path}`;
  if (part.getSize() > file.size) part.truncate(0);
  let before = part.getSize();
  const gained = () => {
    const more = part.getSize() > before;
    before = part.getSize();
    return more;
  };
  try {
    onBytes(before);
    while (part.getSize() < file.size)
      await patiently(access, what, () => append(url, what, file, part, access, onBytes), gained);
  } finally {
    part.flush();
  }
  await check(what, file, part, access.signal);
}

/** One connection: appends what comes. @throws Passing where it ends early or stalls */
async function append(
  url: string,
  what: string,
  file: HubFile,
  part: Part,
  access: HubAccess,
  onBytes: (bytes: number) => void,
) {
  const stalled = new AbortController();
  const { stall } = access.patience;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => stalled.abort(), stall * 1000);
  };
  const signal = access.signal ? AbortSignal.any([access.signal, stalled.signal]) : stalled.signal;
  alive();
  try {
    let at = part.getSize();
    const response = await request(access, what, url, {
      signal,
      headers: at > 0 ? { Range: `bytes=${at}-` } : {},
    });
    const range = response.headers.get('Content-Range');
    if (response.status !== 206 || (range !== null && !range.startsWith(`bytes ${at}-`))) {
      part.truncate(0); // the whole file comes, whatever was asked for
      at = 0;
    }
    const reader = response.body!.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read().catch(() => {
          throw new Passing(
            stalled.signal.aborted ? `no data for ${stall} s` : 'the connection was lost',
          );
        });
        if (done) break;
        alive();
        if (at + value.length > file.size)
          throw new InputError(
            'hub',
            `${what}: received more than its ${file.size} bytes. Download it again.`,
          );
        write(what, part, value, at);
        at += value.length;
        onBytes(at);
      }
    } finally {
      await reader.cancel().catch(() => undefined);
    }
    if (at < file.size) throw new Passing('the connection was lost');
  } finally {
    clearTimeout(timer);
  }
}

function write(what: string, part: Part, bytes: Uint8Array<ArrayBuffer>, at: number): void {
  let written = 0;
  try {
    written = part.write(bytes, { at });
  } catch (error) {
    if (!(error instanceof DOMException && error.name === 'QuotaExceededError')) throw error;
  }
  if (written !== bytes.length)
    throw new InputError(
      'hub',
      `${what}: this browser's storage is full. Delete a stored model, then resume the download.`,
    );
}

/**
 * Compares what is stored with the Hub's hash.
 * @throws InputError('hub') for another one; the file is emptied then
 */
async function check(what: string, file: HubFile, part: Part, signal?: AbortSignal): Promise<void> {
  const wanted = file.sha256 ?? file.gitSha1;
  const found = file.sha256 === null ? await gitSha1(part) : await sha256Of(part, signal);
  if (found === wanted) return;
  part.truncate(0);
  part.flush();
  const kind = file.sha256 === null ? 'SHA-1' : 'SHA-256';
  throw new InputError(
    'hub',
    `${what}: its ${kind} is ${found}, but the Hub says ${wanted}. The file was deleted; download it again.`,
  );
}

function* pieces(part: Part): Generator<Uint8Array<ArrayBuffer>> {
  const size = part.getSize();
  const buffer = new Uint8Array(Math.min(size, pieceBytes));
  for (let at = 0; at < size; ) {
    const count = part.read(buffer.subarray(0, Math.min(buffer.length, size - at)), { at });
    if (count === 0) return;
    yield buffer.subarray(0, count);
    at += count;
  }
}

async function sha256Of(part: Part, signal?: AbortSignal): Promise<string> {
  const hash = sha256.create();
  for (const bytes of pieces(part)) {
    hash.update(bytes);
    await new Promise((resolve) => setTimeout(resolve)); // so that a pause gets through
    signal?.throwIfAborted();
  }
  return bytesToHex(hash.digest());
}

/** git's id of a file's content: SHA-1 over "blob", its length, a zero byte and the content. */
async function gitSha1(part: Part): Promise<string> {
  const size = part.getSize();
  const head = new TextEncoder().encode(`blob ${size}\0`);
  const all = new Uint8Array(head.length + size);
  all.set(head);
  part.read(all.subarray(head.length), { at: 0 });
  return bytesToHex(new Uint8Array(await crypto.subtle.digest('SHA-1', all)));
}
