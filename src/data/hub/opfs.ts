// Models kept in this browser (the origin's private file system): a folder each, listed, opened,
// deleted; downloads go on where they stopped.
import { InputError } from '../../util/error.ts';
import { decodeText, parseJson } from '../../util/json.ts';
import { blobSource, type Folder, folderOf } from '../source.ts';
import type { HubFile, HubModel } from './hub.ts';
import { downloadFile, type Part } from './hub-download.ts';
import type { HubAccess } from './hub-request.ts';

/** What of FileSystemFileHandle is used; a worker's, since only those write in place. */
export interface FileEntry {
  getFile(): Promise<File>;
  createSyncAccessHandle(): Promise<Part & { close(): void }>;
}

/** What of FileSystemDirectoryHandle is used. */
export interface Directory {
  getDirectoryHandle(name: string, options?: { create?: boolean }): Promise<Directory>;
  getFileHandle(name: string, options?: { create?: boolean }): Promise<FileEntry>;
  removeEntry(name: string, options?: { recursive?: boolean }): Promise<void>;
  keys(): AsyncIterable<string>;
}

/** A model that is stored, or begun. */
export interface StoredModel {
  /** Names it in this store. */
  key: string;
  id: string;
  commit: string;
  gguf: string | null;
  /** Of all its files, and of what is here. */
  bytes: number;
  here: number;
  /** All files are here, and had the Hub's hashes. */
  complete: boolean;
}

const manifest = 'guilomo-files.json';
const checked = (path: string) => `${path}.ok`; // an empty file beside one whose hash was right

const keyOf = ({ id, commit, gguf }: HubModel): string =>
  encodeURIComponent([id, commit, ...(gguf === null ? [] : [gguf])].join('@'));

function partsOf(key: string): { id: string; commit: string; gguf: string | null } {
  const [id, commit, ...gguf] = decodeURIComponent(key).split('@');
  return { id, commit, gguf: gguf.length === 0 ? null : gguf.join('@') };
}

/** The store in a directory, which is made when first needed. */
export class ModelStore {
  constructor(private readonly root: () => Promise<Directory>) {}

  async #models(): Promise<Directory> {
    return (await this.root()).getDirectoryHandle('models', { create: true });
  }

  /** @throws InputError('missing-file') where there is no such model */
  async #folder(key: string): Promise<Directory> {
    const { id } = partsOf(key);
    return (await this.#models()).getDirectoryHandle(key).catch(() => {
      throw new InputError('missing-file', `${id} is not stored in this browser.`);
    });
  }

  /** All models, by id. */
  async list(): Promise<StoredModel[]> {
    const models = await this.#models();
    const found: StoredModel[] = [];
    for await (const key of models.keys())
      found.push(await this.#describe(key, await models.getDirectoryHandle(key)));
    return found.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  }

  async #describe(key: string, folder: Directory): Promise<StoredModel> {
    const files = await filesOf(folder, key).catch(() => []);
    const names = new Set<string>();
    for await (const name of folder.keys()) names.add(name);
    let here = 0;
    for (const { path } of files)
      if (names.has(path)) here += (await (await folder.getFileHandle(path)).getFile()).size;
    return {
      key,
      ...partsOf(key),
      bytes: files.reduce((sum, { size }) => sum + size, 0),
      here,
      complete: files.length > 0 && files.every(({ path }) => names.has(checked(path))),
    };
  }

  /**
   * Makes a place for a model's files and returns its key; one that is there already stays as it
   * is.
   */
  async begin(offer: HubModel): Promise<string> {
    const key = keyOf(offer);
    const folder = await (await this.#models()).getDirectoryHandle(key, { create: true });
    if (await filesOf(folder, key).catch(() => null)) return key;
    await writing(await folder.getFileHandle(manifest, { create: true }), async (part) => {
      part.truncate(0);
      part.write(new TextEncoder().encode(JSON.stringify(offer.files)), { at: 0 });
      part.flush();
    });
    return key;
  }

  /**
   * Fetches what is missing of a model that was begun, file by file.
   * @param onProgress bytes here and in all
   * @throws as downloadFile; what has come stays
   */
  async download(
    key: string,
    access: HubAccess,
    onProgress: (done: number, total: number) => void,
  ): Promise<void> {
    const folder = await this.#folder(key);
    const files = await filesOf(folder, key);
    const total = files.reduce((sum, { size }) => sum + size, 0);
    let before = 0;
    for (const file of files) {
      const done = await folder.getFileHandle(checked(file.path)).catch(() => null);
      if (!done) {
        await writing(await folder.getFileHandle(file.path, { create: true }), (part) =>
          downloadFile(partsOf(key), file, part, access, (bytes) =>
            onProgress(before + bytes, total),
          ),
        );
        await folder.getFileHandle(checked(file.path), { create: true });
      }
      before += file.size;
      onProgress(before, total);
    }
  }

  /**
   * A complete model's files, read from the store.
   * @throws InputError('missing-file') for one that is not here, or not all of it
   */
  async open(key: string): Promise<Folder> {
    const folder = await this.#folder(key);
    const { id, gguf } = partsOf(key);
    if (!(await this.#describe(key, folder)).complete)
      throw new InputError('missing-file', `${id}: its download is incomplete. Resume it.`);
    const files = await filesOf(folder, key);
    const sources = files.map(async ({ path }) =>
      blobSource(await (await folder.getFileHandle(path)).getFile(), path),
    );
    return folderOf(gguf === null ? id : `${id}/${gguf}`, await Promise.all(sources));
  }

  /** Deletes a model and what was begun of it. */
  async remove(key: string): Promise<void> {
    await this.#folder(key);
    await (await this.#models()).removeEntry(key, { recursive: true });
  }
}

/**
 * The files that a model has, as they were listed when its download began.
 * @throws InputError('bad-file') where that list is not whole
 */
async function filesOf(folder: Directory, key: string): Promise<HubFile[]> {
  const damaged = () =>
    new InputError(
      'bad-file',
      `${partsOf(key).id}: the list of its files is damaged. Delete it and download it again.`,
    );
  const handle = await folder.getFileHandle(manifest).catch(() => {
    throw damaged();
  });
  const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
  const files = parseJson(decodeText(bytes, manifest, 'bad-file'), manifest, 'bad-file');
  if (!Array.isArray(files)) throw damaged();
  return files as HubFile[];
}

async function writing(handle: FileEntry, work: (part: Part) => Promise<void>): Promise<void> {
  const part = await handle.createSyncAccessHandle().catch((error: unknown) => {
    if (!(error instanceof DOMException && error.name === 'NoModificationAllowedError'))
      throw error;
    throw new InputError('hub', 'Another tab is downloading this model: wait for it to finish.');
  });
  try {
    await work(part);
  } finally {
    part.close();
  }
}
