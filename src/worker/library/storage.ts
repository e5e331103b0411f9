// Where models are stored in this browser.
import { type Directory, ModelStore } from '../../data/hub/opfs.ts';
import { InputError } from '../../util/error.ts';

/** The storage of this page's origin. @throws InputError where the browser has none */
async function ownDirectory(): Promise<Directory> {
  const found = await navigator.storage?.getDirectory?.().catch(() => null);
  if (!found)
    throw new InputError(
      'hub',
      'This browser gives this page no storage (private windows often have none): use a normal window.',
    );
  return found;
}

/** The models stored in this browser. */
export const storedModels = (): ModelStore => new ModelStore(ownDirectory);
