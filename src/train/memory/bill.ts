// What a run needs on the GPU: its buffers by category, counted from what it would record, without
// a GPU and before anything is loaded.
import type { AdapterLayout } from '../../adapters/layout.ts';
import { bufferBytes } from '../../gpu/buffers.ts';
import type { ParamStore } from '../../graph/params.ts';
import { fitSlots, plan } from '../../graph/plan.ts';
import { ownData } from '../../graph/program.ts';
import type { Recorder } from '../../graph/recorder.ts';
import { bytesOf, type Tensor } from '../../graph/tensor.ts';
import { recordGeneration } from '../../model/generate.ts';
import type { SymbolicModel } from '../../model/load.ts';
import { STATISTICS } from '../../ops/loss.ts';
import { type BatchShape, batchStates, type Thrift } from '../batch.ts';
import { recordEvaluation, recordMicro, recordUpdate } from '../programs.ts';
import { RING_SLOTS } from '../ring.ts';
import type { SearchLayout } from '../search/layout.ts';
import { recordSearch, type SearchOptions } from '../search/programs.ts';

/**
 * What buffers are for. `adapter`: trainable values (with a search, row scales and GuidedSelection
 * Vectors too); `optimizer`: their gradients and moments; `cache`: keys and values of generation;
 * `other`: inputs, statistics, tables, staging.
 */
export const categories = [
  'weights',
  'adapter',
  'optimizer',
  'activations',
  'logits',
  'cache',
  'other',
] as const;
export type Category = (typeof categories)[number];

/** Bytes of GPU buffers at the peak of a stage. */
export interface Bill {
  bytes: Record<Category, number>;
  total: number;
  /** The largest buffer; it is bound whole. */
  largest: { name: string; bytes: number };
}

const STEP_UNIFORM = 64;

/** Adds up the buffers that `Memory`, `Program` and `ParamStore` would make. */
class Ledger {
  private readonly bytes = Object.fromEntries(categories.map((c) => [c, 0])) as Record<
    Category,
    number
  >;
  private largest = { name: '', bytes: 0 };
  private readonly slots: { size: number }[] = [];

  /** The weights, and the step uniforms of the model's memory and of the stage's. */
  constructor({ weights }: SymbolicModel) {
    this.tensors('weights', weights.all);
    this.add('other', 'step', STEP_UNIFORM);
    this.add('other', 'step', STEP_UNIFORM);
  }

  add(category: Category, name: string, bytes: number): number {
    const size = bufferBytes(bytes);
    this.bytes[category] += size;
    if (size > this.largest.bytes) this.largest = { name, bytes: size };
    return size;
  }

  tensors(category: Category, tensors: Iterable<Tensor>): void {
    for (const t of tensors) this.add(category, t.name, bytesOf(t));
  }

  store(store: ParamStore): void {
    this.add('adapter', 'the adapter', store.bytes);
    for (const part of ['gradients', 'first moments', 'second moments'])
      this.add('optimizer', `the adapter's ${part}`, store.bytes);
  }

  /**
   * A program's tables and params, and slots for its activations; each slot counts as what its
   * largest tensor is.
   */
  program({ commands }: Recorder): void {
    const { slots, slotBytes } = plan(commands);
    const widest: Tensor[] = [];
    for (const [t, slot] of slots) widest[slot] ??= t; // largest tensors come first
    fitSlots(this.slots, slotBytes, (bytes, slot) => {
      const { name } = widest[slot];
      return { size: this.add(name.startsWith('logits') ? 'logits' : 'activations', name, bytes) };
    });
    const { tables, params } = ownData(commands);
    this.tensors('other', tables);
    this.add('other', 'params', params.length);
  }

  total(): Bill {
    return {
      bytes: this.bytes,
      total: Object.values(this.bytes).reduce((a, b) => a + b, 0),
      largest: this.largest,
    };
  }
}

/** Bytes of a ring that copies these out. */
const ringBytes = (sources: readonly number[]): number =>
  RING_SLOTS * sources.reduce((a, b) => a + bufferBytes(b), 0);

/** The bill of training an adapter; the adapter is read back once the rings of the run are gone. */
export function trainingBill(
  model: SymbolicModel,
  layout: AdapterLayout,
  shape: BatchShape,
  dropout: boolean,
  thrift: Thrift,
): Bill {
  const ledger = new Ledger(model);
  const states = batchStates(shape, layout.routedExperts);
  const passes = { model, layout, shape, states };
  ledger.store(layout.store);
  ledger.tensors('other', Object.values(states));
  ledger.add('other', 'staging', Math.max(STATISTICS.size, shape.targets) * 4);
  const ring = ringBytes([bytesOf(states.statistics), bytesOf(states.routing)]);
  ledger.add('other', 'staging', Math.max(ring, layout.store.bytes));
  ledger.program(recordMicro(passes, dropout, thrift));
  ledger.program(recordUpdate(model.variants, layout, states));
  ledger.program(recordEvaluation(passes, thrift).rec);
  return ledger.total();
}

/** The bill of a search. */
export function searchBill(
  model: SymbolicModel,
  layout: SearchLayout,
  shape: BatchShape,
  options: SearchOptions,
): Bill {
  const ledger = new Ledger(model);
  const { named, states, programs, readback } = recordSearch(model, layout, shape, options);
  ledger.store(layout.adapter.store);
  ledger.store(layout.upper);
  ledger.tensors('other', states);
  ledger.add('other', 'staging', readback * 4);
  const rings = ringBytes([
    bytesOf(named.batch.statistics),
    bytesOf(named.noted),
    bytesOf(named.cost.cost),
    layout.upper.bytes,
  ]);
  ledger.add('other', 'staging', Math.max(rings, layout.adapter.store.bytes, layout.upper.bytes));
  for (const rec of programs.values()) ledger.program(rec);
  return ledger.total();
}

/**
 * The bill of generation, `rows` prompts at a time, with an adapter's values where there is one.
 */
export function generationBill(
  model: SymbolicModel,
  layout: AdapterLayout | null,
  rows: number,
  promptTokens: number,
  newTokens: number,
): Bill {
  const ledger = new Ledger(model);
  if (layout) ledger.store(layout.store);
  const { caches, states, logits, prefill, decode } = recordGeneration(
    model,
    layout,
    rows,
    promptTokens,
    newTokens,
  );
  for (const { keys, values } of caches) ledger.tensors('cache', [keys, values]);
  for (const t of states) ledger.tensors(t === logits ? 'logits' : 'other', [t]);
  ledger.program(prefill.program);
  ledger.program(decode.program);
  ledger.add('logits', 'staging of logits', bytesOf(logits));
  return ledger.total();
}
