// Model folders and data files as the readers want them: chosen in the browser, stored in it, or
// fetched from beside the page (the demo).
import {
  type ByteSource,
  blobSource,
  bytesSource,
  type Folder,
  folderOf,
} from '../../data/source.ts';
import { InputError } from '../../util/error.ts';
import type { ModelSource } from '../protocol/api.ts';
import { storedModels } from './storage.ts';

const demoModel = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'model.safetensors',
];

/** One file of the demo. @throws InputError('missing-file') when it cannot be fetched */
export async function demoFile(base: string, name: string): Promise<ByteSource> {
  const response = await fetch(new URL(`demo/${name}`, base)).catch(() => null);
  // servers that answer everything with the page
  const isPage = response?.headers.get('content-type')?.includes('text/html');
  if (!response?.ok || isPage)
    throw new InputError(
      'missing-file',
      `demo/${name} could not be downloaded from the server of this page.`,
    );
  return bytesSource(new Uint8Array(await response.arrayBuffer()), name);
}

/** The files of a chosen model, without reading them yet. */
export async function modelFolder(
  source: ModelSource,
  base: string,
  only?: readonly string[],
): Promise<Folder> {
  if (source.kind === 'files') {
    return folderOf(
      source.name,
      source.files.map((file) => blobSource(file, file.name)),
    );
  }
  if (source.kind === 'stored') return storedModels().open(source.key);
  const names = demoModel.filter((name) => !only || only.includes(name));
  return folderOf('demo', await Promise.all(names.map((name) => demoFile(base, name))));
}

/** The files that a tokenizer is made of. */
export const tokenizerFiles: readonly string[] = ['tokenizer.json', 'tokenizer_config.json'];
