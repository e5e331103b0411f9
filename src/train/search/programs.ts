// What a search records (method §2–3): the passes of both levels, the copies and sums of the
// bilevel step between them, and the updates.
import type { Group } from '../../adapters/layout.ts';
import type { Parts } from '../../adapters/method.ts';
import { adapterOf, auxiliaryLosses } from '../../adapters/project.ts';
import { Recorder } from '../../graph/recorder.ts';
import { type Tensor, tensor } from '../../graph/tensor.ts';
import type { SymbolicModel } from '../../model/load.ts';
import {
  type CostState,
  columnFactors,
  dualStep,
  learnCounts,
  parameterCost,
  writeSizes,
} from '../../ops/gsv.ts';
import { STATISTICS } from '../../ops/loss.ts';
import { type AdamW, adamw, axpy, globalNorm } from '../../ops/optim.ts';
import { invariant } from '../../util/error.ts';
import {
  type BatchShape,
  type BatchShapes,
  type BatchStates,
  batchStates,
  type MemoryOptions,
  recordLoss,
  statesFor,
} from '../batch.ts';
import type { Recording } from '../program-set.ts';
import type { SearchLayout } from './layout.ts';

/** The upper level's AdamW (method §3). */
export const UPPER_ADAMW: AdamW = { beta1: 0.5, beta2: 0.999, eps: 1e-8 };

/** How the gradient of the GSVs is taken. */
export type Order = 'first-order' | 'second-order';

/** What a search's programs depend on. */
export interface SearchOptions {
  order: Order;
  /** Whether sizes are the GSVs' argmax, or drawn from them for each pair. */
  sizes: 'argmax' | 'sampled';
  /**
   * λ of the parameters' cost; with a budget (a share of params(E_max, R_max)) λ finds itself. Only
   * with `survival`.
   */
  cost: number;
  budget: number | null;
  /** Whether the pair's lower micro-step records dropout; no other pass does. */
  dropout: boolean;
  /** Stream key of the drawn sizes, u32. */
  seed: number;
  memoryOptions?: MemoryOptions;
  onProgress?: (done: number, of: number) => void;
}

/** States that a search's programs share. */
export interface SearchStates {
  batch: BatchStates;
  /**
   * Statistics of the upper pass that gives the upper loss, with the norm of the upper gradient.
   */
  noted: Tensor;
  cost: CostState;
}

/**
 * The programs by name; `slope` is ∇_w L(b1; w) of an upper step, `both` ∇_a and ∇_w L(b2; w′),
 * `beside` ∇_a L(b1; w ± εv).
 */
export type SearchProgram =
  | 'sizes'
  | 'lower'
  | 'lowerUpdate'
  | 'upper'
  | 'upperUpdate'
  | 'save'
  | 'slope'
  | 'virtual'
  | 'both'
  | 'perturb'
  | 'beside'
  | 'across'
  | 'finish';

/** The programs of an upper step before its update, in order. */
export const upperSteps = (order: Order): SearchProgram[] =>
  order === 'first-order'
    ? ['upper']
    : ['save', 'slope', 'virtual', 'both', 'perturb', 'beside', 'across', 'beside', 'finish'];

/** A search's programs, symbolic. */
export interface SearchRecording extends Recording<SearchProgram> {
  layout: SearchLayout;
  options: SearchOptions;
  named: SearchStates;
}

/**
 * Records every program that the options need. Needs no GPU. After a lower update a ring takes its
 * statistics; after an upper step the other one takes those of the pass that gives ∇_a L(b2) (its
 * balance loss counted though it moves no GSV; the pair as sentinel; the norm of G), [λ,
 * E[params]/params(E_max, R_max)] and the GSVs.
 */
export function recordSearch(
  model: SymbolicModel,
  layout: SearchLayout,
  shapes: BatchShapes,
  options: SearchOptions,
): SearchRecording {
  const { cost: price, budget, sizes } = options;
  invariant(
    layout.survival || (price === 0 && budget === null && sizes === 'argmax'),
    'cost, budget and drawn sizes need survival',
  );
  const all: Tensor[] = [];
  const state = (name: string, size: number, dtype: 'u32' | 'f32' = 'f32'): Tensor => {
    const t = tensor(name, [size], { kind: 'state', dtype });
    all.push(t);
    return t;
  };
  const states: SearchStates = {
    batch: batchStates(shapes, layout.adapter.routedExperts),
    noted: state('noted statistics', STATISTICS.size),
    cost: {
      cost: state('cost', 2),
      expected: state('expected parameters', layout.sites),
      most: layout.most,
    },
  };
  all.push(...Object.values(states.batch));
  for (const g of layout.banks.keys()) all.push(g.experts.table);
  const made = new Map<SearchProgram, Recorder[]>();
  const { store } = layout.adapter;
  const [lower, upper] = [store.flat(), layout.upper.flat()];
  const recording: SearchRecording = {
    shapes,
    layout,
    options,
    named: states,
    stores: [store, layout.upper],
    batch: states.batch,
    states: all,
    programs: made,
    rings: [[states.batch.statistics], [states.noted, states.cost.cost, upper.value]],
    readback: Math.max(
      STATISTICS.size,
      ...[...layout.banks.keys()].map((g) => g.experts.table.shape[0]),
    ),
  };
  const { halt } = states.batch;
  const unused = state('unused statistics', STATISTICS.size);

  const add = (name: SearchProgram, record: (rec: Recorder) => void) => {
    const rec = new Recorder(model.variants, false);
    record(rec);
    made.set(name, [rec]);
  };
  /** For a micro-batch of each shape. */
  const addPass = (name: SearchProgram, record: (rec: Recorder, shape: BatchShape) => void) => {
    const each = shapes.micro.map((shape) => {
      const rec = new Recorder(model.variants, true);
      record(rec, shape);
      return rec;
    });
    made.set(name, each);
  };

  /** What the search makes of a group's experts. */
  const search = (rec: Recorder, g: Group): Parts => {
    const { group, rowScale, ranks, experts } = layout.banks.get(g)!;
    return {
      experts: g.experts,
      factor: columnFactors(rec, group, g.experts, rowScale, ranks),
      learn: experts
        ? (logits, gates) => learnCounts(rec, group, g.experts, logits, gates, experts)
        : undefined,
    };
  };
  // An upper pass has no gradients of the lower level's parameters and no balance term.
  const levels = {
    lower: { into: [store], auxiliary: true },
    upper: { into: [layout.upper], auxiliary: false },
  };

  /**
   * Forward of the batch in the states, and a backward for each level: gradients of the lower
   * level's parameters, or of the GSVs.
   * @param statistics none: neither losses nor routing are wanted
   */
  const pass = (
    rec: Recorder,
    shape: BatchShape,
    wanted: readonly (keyof typeof levels)[],
    statistics: Tensor | null,
    dropout = false,
  ) => {
    const batch = { ...statesFor(states.batch, shape), statistics: statistics ?? unused };
    const { lengths, routing, places } = batch;
    const adapter = adapterOf(
      layout.adapter,
      { state: routing, lengths, seqLen: shape.seqLen },
      { dropout: dropout ? places : null, counted: statistics !== null, search },
    );
    recordLoss(rec, model, shape, batch, adapter, options.memoryOptions);
    if (statistics) auxiliaryLosses(rec, adapter, statistics);
    for (const level of wanted) rec.backward(levels[level]);
  };

  /**
   * The expected parameters of all sites; with `addGradient` λ times their gradient goes to the
   * upper one, where λ can be above 0.
   */
  const cost = (rec: Recorder, addGradient: boolean) => {
    if (addGradient && options.cost === 0 && options.budget === null) return;
    let first = 0;
    for (const [g, b] of layout.banks) {
      const dims = g.sites.map((s) => [s.inputs + s.outputs, s.inputs] as const);
      parameterCost(rec, b.group, dims, first, b, states.cost, addGradient);
      first += g.sites.length;
    }
  };

  add('sizes', (rec) => {
    for (const [g, b] of layout.banks) writeSizes(rec, b.group, b, g.experts, options.sizes);
  });
  addPass('lower', (rec, shape) =>
    pass(rec, shape, ['lower'], states.batch.statistics, options.dropout),
  );
  add('lowerUpdate', (rec) => adamw(rec, { ...lower, halt }, states.batch.statistics));
  add('upperUpdate', (rec) => {
    adamw(rec, { ...upper, halt }, states.noted, UPPER_ADAMW);
    if (!layout.survival) return;
    cost(rec, false);
    dualStep(rec, states.cost, options.budget);
  });
  if (options.order === 'first-order') {
    addPass('upper', (rec, shape) => {
      rec.clear(states.noted);
      pass(rec, shape, ['upper'], states.noted);
      cost(rec, true);
    });
    return recording;
  }

  const kept = { w: state('kept w', store.size), grad: state('kept gradient', store.size) };
  const [base, plus] = [
    state('G at w′', layout.upper.size),
    state('G at w + εv', layout.upper.size),
  ];
  addPass('slope', (rec, shape) => pass(rec, shape, ['lower'], unused));
  addPass('beside', (rec, shape) => pass(rec, shape, ['upper'], null));
  // ∇_a L(b2; w′) excludes the balance loss and v includes it, so one forward pass is followed by
  // two backward passes.
  addPass('both', (rec, shape) => {
    rec.clear(states.noted);
    pass(rec, shape, ['upper', 'lower'], states.noted);
  });
  add('save', (rec) => {
    rec.copy(lower.value, kept.w);
    rec.copy(lower.grad, kept.grad);
    rec.clear(lower.grad);
  });
  // w′ = w − ξ ∇L(b1; w), and room for v.
  add('virtual', (rec) => {
    axpy(rec, lower.grad, lower.value, -1, 'xi', states.noted);
    rec.clear(lower.grad);
  });
  // v is in the lower gradient, ∇_a L(b2; w′) in the upper one: to w + εv.
  add('perturb', (rec) => {
    rec.copy(upper.grad, base);
    rec.clear(upper.grad);
    globalNorm(rec, lower.grad, states.noted, halt);
    rec.copy(kept.w, lower.value);
    axpy(rec, lower.grad, lower.value, 1, 'epsilon', states.noted);
  });
  // ∇_a L(b1; w + εv) is in the upper gradient: to w − εv.
  add('across', (rec) => {
    rec.copy(upper.grad, plus);
    rec.clear(upper.grad);
    rec.copy(kept.w, lower.value);
    axpy(rec, lower.grad, lower.value, -1, 'epsilon', states.noted);
  });
  // G = base − ξ (plus − minus) / 2ε, and w and the accumulated gradient as they were, bit for bit.
  add('finish', (rec) => {
    axpy(rec, plus, base, -1, 'difference', states.noted);
    axpy(rec, upper.grad, base, 1, 'difference', states.noted);
    rec.copy(base, upper.grad);
    cost(rec, true);
    rec.copy(kept.w, lower.value);
    rec.copy(kept.grad, lower.grad);
  });
  return recording;
}
