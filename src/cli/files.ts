// Node's files and folders as the ByteSource and Folder that the rest of the code reads from.
import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { ByteSource, Folder } from '../data/source.ts';
import { InputError } from '../util/error.ts';

/**
 * A file on disk, opened for each read, so that nothing has to be closed. InputError when it isn't
 * there or isn't a file.
 */
export function fileSource(path: string): ByteSource {
  const { size } = stat(path, 'file');
  return {
    name: basename(path),
    size,
    read: async (start, end) => {
      const file = openFile(path);
      try {
        const out = new Uint8Array(Math.max(0, Math.min(end, fstatSync(file).size) - start));
        let done = 0;
        while (done < out.length) {
          const n = readSync(file, out, done, Math.min(out.length - done, 1 << 30), start + done);
          if (n === 0) break;
          done += n;
        }
        return done === out.length ? out : out.slice(0, done);
      } finally {
        closeSync(file);
      }
    },
  };
}

/**
 * The files of a folder on disk (subfolders left out). InputError when it isn't there or isn't a
 * folder.
 */
export function folderSource(path: string): Folder {
  stat(path, 'folder');
  const files = readdirSync(path).filter((name) =>
    statSync(join(path, name), { throwIfNoEntry: false })?.isFile(),
  );
  const known = new Set(files);
  return {
    name: basename(resolve(path)),
    files,
    open: (name) => (known.has(name) ? fileSource(join(path, name)) : undefined),
  };
}

function stat(path: string, kind: 'file' | 'folder') {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) throw new InputError('missing-file', `${path}: no such ${kind}.`);
  if (kind === 'file' ? !found.isFile() : !found.isDirectory()) {
    throw new InputError(
      'missing-file',
      `${path}: this is ${found.isDirectory() ? 'a folder' : 'a file'}, not a ${kind}.`,
    );
  }
  return found;
}

function openFile(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (e) {
    throw new InputError(
      'missing-file',
      `${path}: cannot be opened (${(e as NodeJS.ErrnoException).code ?? 'unknown error'}).`,
    );
  }
}
