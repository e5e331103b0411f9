// Every kernel family, and which of their variants a run uses: given, or chosen by a short
// measurement; never by a vendor's name.
import type { Gpu } from '../gpu/device.ts';
import type { Choice, Variants } from '../gpu/variants.ts';
import { classOf, type Family, type Variant } from '../graph/family.ts';
import { tune } from '../graph/tune.ts';
import { InputError } from '../util/error.ts';
import { attentions } from './attention/attention.ts';
import { products } from './product/product.ts';
import { rowReductions } from './rows/rows.ts';

export const families: readonly Family<unknown>[] = [products, rowReductions, attentions];

/** What graphics processors prefer, and what renderers on 4 lanes of a CPU run. */
export const presets: Readonly<Record<'gpu' | 'cpu', Choice>> = {
  gpu: { product: 'tile', rows: 'workgroup', attention: 'block' },
  cpu: { product: 'subgroup', rows: 'thread', attention: 'thread' },
};

/** Whether subgroups are exactly 4 wide, as on a CPU renderer. */
const isQuads = ({ subgroup }: Gpu): boolean => subgroup?.min === 4 && subgroup.max === 4;

/** Whether a device can run a variant at all. */
export const canRun = <C>(gpu: Gpu, family: Family<C>, variant: Variant<C>): boolean =>
  family.bench().some(({ c }) => variant.can(gpu, c));

/** What a device runs before anything is measured. */
export const defaultVariants = (gpu: Gpu): Variants => ({
  device: gpu,
  names: isQuads(gpu) ? presets.cpu : presets.gpu,
});

async function measure(gpu: Gpu): Promise<Variants> {
  const { names } = defaultVariants(gpu);
  if (isQuads(gpu)) return { device: gpu, names };
  const better: Record<string, string> = {};
  for (const family of families) {
    const found = await tune(gpu, family, names[family.name]);
    Object.assign(better, found);
  }
  return { device: gpu, names: { ...names, ...better } };
}

const chosen = new WeakMap<GPUDevice, Promise<Variants>>();

/**
 * The variants for a device: where subgroups are 4 wide those of `presets.cpu`, elsewhere those of
 * `presets.gpu` but for classes of cases where another one is right and faster by a clear margin.
 * Measured once a device.
 */
export function chooseVariants(gpu: Gpu): Promise<Variants> {
  const known = chosen.get(gpu.device) ?? measure(gpu);
  chosen.set(gpu.device, known);
  return known;
}

/**
 * Reads a choice: presets, FAMILY=VARIANT or FAMILY/CLASS=VARIANT as a run writes them, or a
 * product's variant alone, separated by commas; later ones come first.
 * @throws InputError `bad-option` that lists what there is
 */
export function parseChoice(text: string, where: string): Choice {
  const names: Record<string, string> = {};
  for (const word of text.split(',')) {
    if (word === 'gpu' || word === 'cpu') {
      Object.assign(names, presets[word]);
      continue;
    }
    const [key, name] = word.includes('=') ? word.split('=') : [products.name, word];
    const family = families.find((f) => key === f.name || classesOf(f).includes(key));
    if (!family?.variants.some((v) => v.name === name)) throw unknown(word, where);
    names[key] = name;
  }
  return names;
}

/** The classes of cases that a family's variants may be chosen for. */
const classesOf = (family: Family<unknown>): string[] =>
  family.bench().map(({ c }) => classOf(family, c));

function unknown(word: string, where: string): InputError {
  const all = families.map(({ name, variants }) => {
    const names = variants.map((v) => v.name);
    return `${name}=${names.join('|')}`;
  });
  return new InputError(
    'bad-option',
    `${where} has "${word}", which is none of gpu, cpu, ${all.join(', ')}.`,
  );
}

/**
 * The variants for a device with those that are given in place of measured ones.
 * @throws InputError `bad-option` where the device can run one in no case
 */
export async function withChoice(gpu: Gpu, given: Choice, where: string): Promise<Variants> {
  for (const family of families) {
    const variant = family.variants.find((v) => v.name === given[family.name]);
    if (variant && !canRun(gpu, family, variant))
      throw new InputError(
        'bad-option',
        `${where}: ${gpu.name} cannot run ${family.name}=${variant.name}.`,
      );
  }
  if (families.every((f) => f.name in given)) return { device: gpu, names: given };
  const { names } = await chooseVariants(gpu);
  const kept = Object.entries(names).filter(([key]) => !(key.split('/')[0] in given));
  return { device: gpu, names: { ...Object.fromEntries(kept), ...given } };
}
