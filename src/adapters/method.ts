// The recorded half of a method: how a group's down-projections become the columns that B reads.
import type { Recorder } from '../graph/recorder.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { Experts, Gates, Logits, Routing } from '../ops/adapter.ts';
import { invariant } from '../util/error.ts';
import type { AdapterLayout, Group } from './layout.ts';

/** What a recording of a model with an adapter knows beside the adapter's layout. */
export interface AdapterContext {
  routing: Routing;
  /** Whether f and P are counted. */
  counted: boolean;
  /** Rows and positions that key the dropout mask (2·tokens), u32; null: no dropout. */
  dropout: Tensor | null;
  /** During a search: what it makes of a group's experts. */
  search?: (rec: Recorder, group: Group) => Parts;
}

/** A group's experts, what their columns are multiplied by, and what learns from the gates. */
export interface Parts {
  experts: Experts;
  /** (ΣR) */
  factor: Tensor;
  learn?(logits: Logits, gates: Gates): void;
}

/**
 * From h, the down-projections and router logits (N, rows of the group's down bank), to u (N, Σ
 * columns of the sites). Made of ops that carry their backward.
 * @returns u, and what each site's columns are still to be multiplied by; null: 1
 */
export type Mix = (
  rec: Recorder,
  group: Group,
  h: Tensor,
  context: AdapterContext,
) => { u: Tensor; scales: readonly number[] | null };

/** Adds a method's losses beside cross-entropy, over all sites, to the statistics. */
export type Losses = (rec: Recorder, context: AdapterContext, statistics: Tensor) => void;

const recorded = import.meta.glob<{ mix: Mix; losses?: Losses }>('./methods/*/mix.ts', {
  eager: true,
});

/** The recorded half of a layout's method, which lies beside its shape. */
export function recordedHalf({ method }: AdapterLayout): { mix: Mix; losses?: Losses } {
  const half = recorded[`./methods/${method.name}/mix.ts`];
  invariant(half, `there is no adapters/methods/${method.name}/mix.ts`);
  return half;
}

/** A group's experts and factors: as laid out, or as a search makes them. */
export const partsOf = (rec: Recorder, group: Group, { search }: AdapterContext): Parts =>
  search?.(rec, group) ?? group;
