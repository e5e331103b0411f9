// Opens the committed golden files, under Node from the disk and in a browser from vite's server.
import { type ByteSource, bytesSource, type Folder, folderOf } from '../data/source.ts';

// Addresses of all golden files by their path; only they are known at build time, the bytes are
// read when asked for.
const addresses = import.meta.glob<string>('./golden/**/*', {
  query: '?url',
  import: 'default',
  eager: true,
});

async function open(path: string, name: string): Promise<ByteSource> {
  if (globalThis.process?.versions?.node) {
    const { readFile } = await import('node:fs/promises');
    return bytesSource(new Uint8Array(await readFile(new URL(path, import.meta.url))), name);
  }
  const response = await fetch(addresses[path]);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${response.statusText}`);
  return bytesSource(new Uint8Array(await response.arrayBuffer()), name);
}

/**
 * The files directly in src/testing/golden/`name` (for example `train-moe` or `train-moe/adapter`).
 * Throws where there are none.
 */
export async function goldenFolder(name: string): Promise<Folder> {
  const prefix = `./golden/${name}/`;
  const paths = Object.keys(addresses).filter(
    (path) => path.startsWith(prefix) && !path.slice(prefix.length).includes('/'),
  );
  if (!paths.length) throw new Error(`No golden files in ${prefix}`);
  return folderOf(
    name.split('/').at(-1)!,
    await Promise.all(paths.map((path) => open(path, path.slice(prefix.length)))),
  );
}

/** One golden JSON file, parsed: `goldenJson('train-moe', 'run.golden.json')`. */
export async function goldenJson<T>(folder: string, file: string): Promise<T> {
  const source = (await goldenFolder(folder)).open(file);
  if (!source) throw new Error(`No golden file ${folder}/${file}`);
  return JSON.parse(new TextDecoder().decode(await source.read(0, source.size)));
}
