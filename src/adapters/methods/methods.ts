// Looking methods up: by name, in their order, and the settings of all of them together.
import { z } from 'zod';
import {
  type SiteCost,
  type SiteDims,
  type Target,
  targetOf,
} from '../../allocation/allocation.ts';
import type { AllocationLimits } from '../../allocation/files.ts';
import * as registry from './registry.ts';
import { type MethodShape, type SiteShape, storedSize } from './shape.ts';

type Registry = typeof registry;
/** A method's name in run.json. */
export type MethodName = Registry[keyof Registry]['name'];

type Both<U> = (U extends unknown ? (u: U) => void : never) extends (all: infer A) => void
  ? A
  : never;
type Settings = Both<Registry[keyof Registry]['settings']>;
/** The own settings of every method. */
export type MethodSettings = z.output<z.ZodObject<Settings>>;

/** A method whose own settings are among those of all. */
export type Method = MethodShape<MethodName, Settings>;

/** All methods in their order; the first one is the default. */
export const methods = (Object.values(registry) as unknown as Method[]).sort(
  (a, b) => a.order - b.order,
);

export const methodNames = methods.map((m) => m.name);

/** The method of that name. */
export const methodOf = (name: MethodName): Method => methods.find((m) => m.name === name)!;

/** The settings of all methods, as parts of a zod object. */
export const methodSettings: Settings = Object.assign({}, ...methods.map((m) => m.settings));

/** The methods that a key of run.json's `adapter` belongs to; null: to all of them. */
export function ownersOf(key: string): MethodName[] | null {
  const owners = methods.filter(({ settings }) => Object.hasOwn(settings, key));
  return owners.length > 0 ? owners.map(({ name }) => name) : null;
}

/** Whether a method has a use for a key of run.json's `adapter`. */
export const takes = (name: MethodName, key: string): boolean =>
  ownersOf(key)?.includes(name) ?? true;

/** All of them at their defaults. */
export const defaultSettings = (): MethodSettings =>
  z.object(methodSettings).parse({}) as MethodSettings;

/** The most experts that a site may have, and their largest rank. */
export const sizeLimits = ({
  method,
  experts,
  rank,
}: {
  method: MethodName;
  experts: number;
  rank: number;
}): { maxExperts: number; maxRank: number } => ({
  maxExperts: methodOf(method).sizes === 'experts' ? experts : 1,
  maxRank: rank,
});

/** What an allocation's files may hold for an adapter of a decoder of `layers` layers. */
export const allocationLimits = (
  adapter: Parameters<typeof sizeLimits>[0] & { targets: readonly Target[] },
  layers: number,
  files?: AllocationLimits['files'],
): AllocationLimits => ({
  sizes: methodOf(adapter.method).sizes,
  layers,
  targets: adapter.targets,
  ...sizeLimits(adapter),
  files,
});

/** Trainable parameters of a site. */
export const siteSize = (name: MethodName, site: SiteShape): number =>
  storedSize(methodOf(name), site);

/** Trainable parameters of a method's site by its path and ranks. */
export const siteCost =
  (name: MethodName, dims: SiteDims): SiteCost =>
  (path, ranks) =>
    siteSize(name, { ...dims[targetOf(path)], ranks });
