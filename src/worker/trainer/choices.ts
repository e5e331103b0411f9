// The kernels that were chosen on this device, kept in a file of the page's own storage.
import type { ChoiceStore } from '../../ops/choice-store.ts';

const FILE = 'kernels.json';

/** A store of this browser; where pages have no storage it forgets. */
export const browserChoices: ChoiceStore = {
  get environment() {
    return navigator.userAgent;
  },
  async read() {
    const folder = await navigator.storage.getDirectory();
    return (await (await folder.getFileHandle(FILE)).getFile()).text();
  },
  async write(text) {
    const folder = await navigator.storage.getDirectory();
    const file = await (await folder.getFileHandle(FILE, { create: true })).createWritable();
    await file.write(text);
    await file.close();
  },
};
