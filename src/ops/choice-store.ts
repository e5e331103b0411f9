// Remembering which kernels were chosen, so that later runs on a device use the same.
import type { DeviceTraits } from '../gpu/device.ts';
import type { Choice } from '../gpu/variants.ts';
import type { ModelSizes } from '../graph/family.ts';

/** A text that stays: a file of the page's own storage, or of the user's cache folder. */
export interface ChoiceStore {
  /** What runs WebGPU, with its version: a choice is remembered for it. */
  environment: string;
  /** Null where nothing was written yet. */
  read(): Promise<string | null>;
  write(text: string): Promise<void>;
}

/** Choices by device, environment and sizes. */
type Remembered = Record<string, Choice>;

async function readAll(store: ChoiceStore): Promise<Remembered> {
  try {
    const found: unknown = JSON.parse((await store.read()) ?? '{}');
    return typeof found === 'object' && found !== null ? (found as Remembered) : {};
  } catch {
    return {}; // a broken file is as good as none: the choice is measured again
  }
}

/**
 * The choice that was remembered for a device, or the one that `measure` finds, which is then
 * remembered. A store that fails costs a measurement, nothing else.
 * @param kernels tells the engine's kernels from those of other versions
 * @param isUsable whether a remembered choice names kernels that there are
 */
export async function remembered(
  store: ChoiceStore,
  { name }: DeviceTraits & { name: string },
  sizes: ModelSizes,
  kernels: string,
  isUsable: (names: Choice) => boolean,
  measure: () => Promise<Choice>,
): Promise<Choice> {
  const key = JSON.stringify([name, store.environment, kernels, Object.values(sizes)]);
  const known = (await readAll(store))[key];
  if (known && isUsable(known)) return known;
  const names = await measure();
  const text = JSON.stringify({ ...(await readAll(store)), [key]: names }, null, 2);
  await store.write(`${text}\n`).catch(() => undefined);
  return names;
}
