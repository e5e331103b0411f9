// Files of a search (method §5): its tensors, the history of its GuidedSelection Vectors, and the
// allocation that it found.
import type { Allocation, Sizes } from '../allocation/allocation.ts';
import { type AllocationJson, allocationJson } from '../allocation/files.ts';
import type { TensorEntry } from '../data/weights/safetensors.ts';
import { type NamedVector, namedVectors, type SearchLayout } from '../train/search/layout.ts';
import type { SearchValues } from '../train/search/values.ts';
import {
  type ExpectedTensor,
  expectedTensors,
  type FileTensor,
  readTensors,
  storeTensors,
  tensorFile,
} from './adapter-files.ts';

/** Files of a search inside a run's folder. */
export const SEARCH_FILES = {
  experts: 'allocation/expert.json',
  ranks: 'allocation/rank.json',
  history: 'gsv.jsonl',
  state: 'search/state.safetensors',
} as const;

const vectorTensors = (vectors: readonly NamedVector[], store: Float32Array): FileTensor[] =>
  vectors.map((v) => {
    const from = v.bank.offset + v.first;
    return {
      name: v.name,
      shape: [v.count],
      data: Float32Array.from(store.subarray(from, from + v.count)),
    };
  });

/** state.safetensors: A, B and routers, row scales and GSVs under their keys; --init reads it. */
export function searchStateFile(
  layout: SearchLayout,
  { lower, upper }: SearchValues,
): Uint8Array<ArrayBuffer> {
  const vectors = namedVectors(layout);
  const tensors = [
    ...storeTensors(layout.adapter, lower),
    ...vectorTensors(vectors.lower, lower),
    ...vectorTensors(vectors.upper, upper),
  ];
  return tensorFile(tensors);
}

/**
 * A safetensors file of something about every GSV, such as its gradient, under the GSV's own key;
 * `scalars` come first.
 */
export const gsvFile = (
  layout: SearchLayout,
  upper: Float32Array,
  scalars: Record<string, number>,
): Uint8Array<ArrayBuffer> => tensorFile(vectorTensors(namedVectors(layout).upper, upper), scalars);

/**
 * Values of both stores from a file's tensors.
 * @throws InputError naming the tensor that is missing, unknown, of another shape or not finite
 */
export async function searchStateValues(
  layout: SearchLayout,
  entries: ReadonlyMap<string, TensorEntry>,
  where: string,
): Promise<SearchValues> {
  const lower = new Float32Array(layout.adapter.store.size);
  const upper = new Float32Array(layout.upper.size);
  const named = namedVectors(layout);
  const expected = (vectors: readonly NamedVector[], store: Float32Array): ExpectedTensor[] =>
    vectors.map((v) => ({
      name: v.name,
      shape: [v.count],
      take: (values) => store.set(values, v.bank.offset + v.first),
    }));
  const all = [
    ...expectedTensors(layout.adapter, lower),
    ...expected(named.lower, lower),
    ...expected(named.upper, upper),
  ];
  await readTensors(all, entries, where);
  return { lower, upper };
}

/**
 * A line of gsv.jsonl, without its line feed: all GSVs, given site by site, after upper step
 * `step`; the start is step 0 and has no loss. Nine significant digits tell every f32 from its
 * neighbours.
 */
export function gsvLine(
  vectors: readonly { name: string; count: number }[],
  step: number,
  loss: number | null,
  values: Float32Array,
): string {
  let at = 0;
  const entries = vectors.map(({ name, count }) => {
    at += count;
    return [name, Array.from(values.subarray(at - count, at), (v) => Number(v.toPrecision(9)))];
  });
  return JSON.stringify({
    step,
    ...(loss !== null && { upper_loss: loss }),
    values: Object.fromEntries(entries),
  });
}

/** expert.json and rank.json; with one rank a site the latter alone. */
export function allocationFiles(sizes: Sizes, allocation: Allocation): Record<string, string> {
  const contents = Object.entries(allocationJson(sizes, allocation)) as [
    keyof AllocationJson,
    unknown,
  ][];
  return Object.fromEntries(
    contents.map(([key, json]) => [SEARCH_FILES[key], `${JSON.stringify(json, null, 2)}\n`]),
  );
}
