// Files from a picker or a drop, flattened: a folder's own files, without those of its subfolders.
import type { DropItem } from 'react-aria-components';

/** What was chosen: files, and the name of the folder that they lie in. */
export interface Chosen {
  name: string;
  files: File[];
}

/** From an <input>: with a folder, only its top level. One file gives its own name. */
export function fromPicker(list: FileList | null): Chosen {
  const files = Array.from(list ?? []);
  const folder = files[0]?.webkitRelativePath.split('/')[0];
  const top = files.filter((f) => f.webkitRelativePath.split('/').length <= 2);
  return { name: folder || nameOf(top, 'chosen files'), files: top };
}

/** From a drop of files, or of a folder. */
export async function fromDrop(items: readonly DropItem[]): Promise<Chosen> {
  const files: File[] = [];
  let name = '';
  for (const item of items) {
    if (item.kind === 'file') files.push(await item.getFile());
    if (item.kind !== 'directory') continue;
    name = item.name;
    for await (const entry of item.getEntries())
      if (entry.kind === 'file') files.push(await entry.getFile());
  }
  return { name: name || nameOf(files, 'dropped files'), files };
}

const nameOf = (files: readonly File[], several: string): string =>
  files.length === 1 ? files[0].name : several;

/** Offers a value to be saved as JSON under a name. */
export function saveJson(name: string, value: unknown): void {
  const text = `${JSON.stringify(value, null, 2)}\n`;
  const url = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  const link = Object.assign(document.createElement('a'), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000); // the browser may still be reading it
}
