// Every kernel family, and which of their variants a run uses: given, or chosen by a short
// measurement; never by a vendor's name.
import type { Gpu } from '../gpu/device.ts';
import type { Choice, Variants } from '../gpu/variants.ts';
import { classOf, type Family, type ModelSizes, type Variant } from '../graph/family.ts';
import { Recorder } from '../graph/recorder.ts';
import { tune } from '../graph/tune.ts';
import { InputError } from '../util/error.ts';
import { streamKey } from '../util/random.ts';
import { attentions } from './attention/attention.ts';
import { type ChoiceStore, remembered } from './choice-store.ts';
import { products } from './product/product.ts';
import { rowReductions } from './rows/rows.ts';

export const families: readonly Family<unknown>[] = [products, rowReductions, attentions];

/** What graphics processors prefer, and what renderers on 4 lanes of a CPU run. */
export const presets: Readonly<Record<'gpu' | 'cpu', Choice>> = {
  gpu: { product: 'tile', rows: 'workgroup', attention: 'block' },
  cpu: { product: 'subgroup', rows: 'thread', attention: 'thread' },
};

/** SmolLM2-135M's. */
export const SMOLLM2: ModelSizes = {
  hidden: 576,
  feedForward: 1536,
  heads: 9,
  kvHeads: 3,
  headDim: 64,
  vocab: 49152,
};

/** Milliseconds that choosing kernels may take. */
const MOST_TIME = 2000;

/** Whether subgroups are exactly 4 wide, as on a CPU renderer. */
const isQuads = ({ subgroup }: Gpu): boolean => subgroup?.min === 4 && subgroup.max === 4;

/** Whether a device can run a variant at all. */
export const canRun = <C>(gpu: Gpu, family: Family<C>, variant: Variant<C>): boolean =>
  family.bench(SMOLLM2).some(({ c }) => variant.can(gpu, c));

/** What a device runs before anything is measured. */
export const defaultVariants = (gpu: Gpu): Variants => ({
  device: gpu,
  names: isQuads(gpu) ? presets.cpu : presets.gpu,
});

/**
 * Kernel variants for a run's precision: `fast` computes large products in half precision. Tuning
 * never selects it.
 * @throws InputError `bad-config` where the device has no half floats
 */
export function inPrecision({ device, names }: Variants, precision: 'exact' | 'fast'): Variants {
  if (precision === 'exact') return { device, names };
  if (!device.f16)
    throw new InputError(
      'bad-config',
      'precision is "fast", which needs half precision in shaders (shader-f16), and this GPU or browser does not offer it. Set precision to "exact".',
    );
  return { device, names: { ...names, 'product/wide': 'half' } };
}

async function measure(gpu: Gpu, sizes: ModelSizes): Promise<Choice> {
  const { names } = defaultVariants(gpu);
  const better: Record<string, string> = {};
  const until = performance.now() + MOST_TIME;
  for (const family of families)
    Object.assign(better, await tune(gpu, family, names[family.name], sizes, { until }));
  return { ...names, ...better };
}

const chosen = new WeakMap<GPUDevice, Map<string, Promise<Variants>>>();

/** A hash of the kernels that a device may choose among. */
function textsOf(gpu: Gpu, sizes: ModelSizes): string {
  const rec = new Recorder({ device: gpu, names: {} }, false);
  for (const family of families)
    for (const { c } of family.bench(sizes))
      for (const variant of family.variants) if (variant.can(gpu, c)) variant.record(rec, c);
  const codes = rec.commands.flatMap((c) => (c.type === 'dispatch' ? [c.kernel.code] : []));
  return streamKey(0, codes.join()).toString(16);
}

/** Whether a choice names a variant for every family, and none that there isn't. */
const isChoice = (names: Choice): boolean =>
  families.every(({ name }) => name in names) &&
  Object.entries(names).every(([key, name]) =>
    families.some((f) => key.split('/')[0] === f.name && f.variants.some((v) => v.name === name)),
  );

/**
 * The variants for a device: where subgroups are 4 wide those of `presets.cpu`, elsewhere those of
 * `presets.gpu` but for classes of cases where another one is right and faster by a clear margin at
 * the sizes of a model. Measured once a device and sizes, and remembered where there is a store.
 */
export function chooseVariants(
  gpu: Gpu,
  sizes: ModelSizes = SMOLLM2,
  store?: ChoiceStore,
): Promise<Variants> {
  if (isQuads(gpu)) return Promise.resolve(defaultVariants(gpu));
  const own = chosen.get(gpu.device) ?? new Map<string, Promise<Variants>>();
  chosen.set(gpu.device, own);
  const { hidden, feedForward, heads, kvHeads, headDim, vocab } = sizes;
  const exact = { hidden, feedForward, heads, kvHeads, headDim, vocab };
  const key = Object.values(exact).join();
  const measured = () => measure(gpu, exact);
  const choose = () =>
    store ? remembered(store, gpu, exact, textsOf(gpu, exact), isChoice, measured) : measured();
  const known = own.get(key) ?? choose().then((names) => ({ device: gpu, names }));
  own.set(key, known);
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
  family.bench(SMOLLM2).map(({ c }) => classOf(family, c));

function unknown(word: string, where: string): InputError {
  const all = families.map(({ name, variants }) => {
    const names = variants.map((v) => v.name);
    return `${name}=${names.join('|')}`;
  });
  return new InputError(
    'bad-option',
    `${where} has "${word}", which is not one of gpu, cpu, ${all.join(', ')}.`,
  );
}

/**
 * The variants for a device with those that are given in place of measured ones.
 * @throws InputError `bad-option` where the device can run one in no case
 */
export async function withChoice(
  gpu: Gpu,
  given: Choice,
  where: string,
  sizes?: ModelSizes,
  store?: ChoiceStore,
): Promise<Variants> {
  for (const family of families) {
    const variant = family.variants.find((v) => v.name === given[family.name]);
    if (variant && !canRun(gpu, family, variant))
      throw new InputError(
        'bad-option',
        `${where}: ${gpu.name} cannot run ${family.name}=${variant.name}.`,
      );
  }
  if (families.every((f) => f.name in given)) return { device: gpu, names: given };
  const { names } = await chooseVariants(gpu, sizes, store);
  const kept = Object.entries(names).filter(([key]) => !(key.split('/')[0] in given));
  return { device: gpu, names: { ...Object.fromEntries(kept), ...given } };
}
