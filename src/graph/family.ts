// Kernel families: several ways to compute the same, of which a run chooses one by name.
import type { DeviceTraits } from '../gpu/device.ts';
import type { Variants } from '../gpu/variants.ts';
import { invariant } from '../util/error.ts';
import { Random } from '../util/random.ts';
import type { Recorder } from './recorder.ts';
import { type Tensor, tensor } from './tensor.ts';

/** One way to compute the cases of a family. */
export interface Variant<Case> {
  readonly name: string;
  /** Whether a device can run it on a case: features, limits, divisibility. Pure. */
  can(device: DeviceTraits, c: Case): boolean;
  /** Whether to consider it on a device, unasked; by default wherever it can. Pure. */
  suits?(device: DeviceTraits): boolean;
  /** Any number of launches, with scratch tensors of its own. */
  record(rec: Recorder, c: Case): void;
}

/** What the sizes of measured cases follow from: those of the model at hand. */
export interface ModelSizes {
  hidden: number;
  feedForward: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  vocab: number;
}

/** A case to measure, on states. */
export interface Bench<Case> {
  name: string;
  c: Case;
  /** What is compared with the first variant's. */
  out: readonly Tensor[];
}

/** Ways to compute the same. */
export interface Family<Case> {
  readonly name: string;
  /** The first one runs every case on every device, and is what the others are checked against. */
  readonly variants: readonly Variant<Case>[];
  /** What tuning times, and `bench` prints. */
  bench(sizes: ModelSizes): readonly Bench<Case>[];
  /**
   * The class of a case, for which a variant may be chosen apart. It must not depend on the number
   * of tokens, because the order in which a product sums may not.
   */
  key(c: Case): string;
}

/** Under which name a variant may be chosen for a case apart from the rest of its family. */
export function classOf<C>(family: Family<C>, c: C): string {
  return `${family.name}/${family.key(c)}`;
}

/** The variant that computes a case: the chosen one where it can, else the first that can. */
export function variantFor<C>({ device, names }: Variants, family: Family<C>, c: C): Variant<C> {
  const chosen = names[classOf(family, c)] ?? names[family.name];
  const able = family.variants.filter((v) => v.can(device, c));
  const found = able.find((v) => v.name === chosen) ?? able.at(0);
  invariant(found, `no variant of ${family.name} can compute this`);
  return found;
}

/** Records a case in the run's variant. */
export function run<C>(rec: Recorder, family: Family<C>, c: C): void {
  variantFor(rec.variants, family, c).record(rec, c);
}

/** A state of seeded values in (−1, 1), to measure with. */
export function sample(name: string, ...shape: number[]): Tensor {
  const random = new Random(1, name);
  const block = Float32Array.from({ length: 4093 }, () => random.uniform() * 2 - 1);
  const length = shape.reduce((a, b) => a * b, 1);
  const data = new Float32Array(length);
  for (let at = 0; at < length; at += block.length)
    data.set(block.subarray(0, Math.min(block.length, length - at)), at);
  return tensor(name, shape, { kind: 'state', data });
}

/** A state that a measured case writes. */
export const blank = (name: string, ...shape: number[]): Tensor =>
  tensor(name, shape, { kind: 'state' });
