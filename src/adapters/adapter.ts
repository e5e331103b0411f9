// The adapted linears of an input group: down → gate → mix → up, with the base products, recorded
// with their backward.

import type { Target } from '../allocation/allocation.ts';
import type { ParamStore } from '../graph/params.ts';
import type { Recorder } from '../graph/recorder.ts';
import { type Tensor, tensor } from '../graph/tensor.ts';
import { gate } from '../ops/adapter.ts';
import { dropout } from '../ops/elementwise.ts';
import { type Level, type MaskGradients, type SearchGroup, searchGate } from '../ops/gsv.ts';
import { type Product, product } from '../ops/product/product.ts';
import { invariant } from '../util/error.ts';
import type { Group, Site } from './layout.ts';

/** A frozen linear: weight (O, C), packed as loaded, and bias (O) in f32. */
export interface Linear {
  target: Target;
  weight: Tensor;
  bias?: Tensor;
}

/** What adapted linears need besides their operands. */
export interface AdapterContext {
  store: ParamStore;
  /** Real tokens of each row (rows), u32. */
  lengths: Tensor;
  /** f and P of all experts. */
  routing: Tensor;
  routedExperts: number;
  /** Tokens a row. */
  time: number;
  /** Whether dropout is recorded (its rate comes with the step). */
  dropout: boolean;
  /** During the search: the masks and row scales of each group. */
  search?: SearchContext;
}

/** What the search adds to a recording. */
export interface SearchContext {
  /** Open experts and ranks of all sites, u32. */
  sizes: Tensor;
  of(group: Group): { group: SearchGroup; rowScale: Tensor; out: MaskGradients };
  /**
   * Asked when a backward pass is recorded: an upper one has no gradients of the lower level's
   * parameters and no balance term.
   */
  level: Level;
  /** Whether f and P are counted, which the balance term and its loss need. */
  routing: boolean;
}

const row = 'row' as const;
const col = 'col' as const;

/** Everything that one recording of a group shares. */
interface Parts {
  group: Group;
  context: AdapterContext;
  bases: readonly Linear[];
  /** x (N, C), and what the experts see of it. */
  x: Tensor;
  dropped: Tensor;
  /** Down-projections and router logits (N, ΣR + ΣE), and the gated columns (N, ΣR). */
  h: Tensor;
  u: Tensor;
  outputs: Tensor[];
}

const siteOf = (group: Group | undefined, base: Linear): Site | undefined =>
  group?.sites.find((s) => s.target === base.target);
const alphaOf = (group: Group, site: Site): number => (group.routed ? 1 : site.experts[0].scale);

function baseProduct(base: Linear, x: Tensor, y: Tensor): Product {
  const [n, k] = base.weight.shape;
  return {
    m: x.shape[0],
    n,
    k,
    left: { tensor: x, stride: k, order: row },
    right: { tensor: base.weight, stride: k, order: row },
    bias: base.bias,
    out: { tensor: y, stride: n },
    label: base.target,
  };
}

/**
 * ∂L/∂x of frozen linears: Σ dy·W, the first product also adding `second` (the adapter's part) in
 * its epilogue.
 */
function inputGradient(
  rec: Recorder,
  bases: readonly Linear[],
  outputs: readonly Tensor[],
  x: Tensor,
  second?: Product['second'],
): void {
  if (!x.requiresGrad) return;
  bases.forEach((base, i) => {
    const dy = rec.gradOf(outputs[i]);
    invariant(dy, `${base.target}: no gradient`);
    const [o, c] = base.weight.shape;
    const { grad, accumulate } = rec.gradTarget(x);
    product(rec, {
      m: x.shape[0],
      n: c,
      k: o,
      left: { tensor: dy, stride: o, order: row },
      right: { tensor: base.weight, stride: c, order: col },
      second: i === 0 ? second : undefined,
      out: { tensor: grad, stride: c },
      accumulate,
      label: `${base.target} dx`,
    });
  });
}

/** dB and du of every site: du = s·dy·B, dBᵀ += s·uᵀ·dy. */
function upBackward(rec: Recorder, { group, context, bases, outputs, u }: Parts): void {
  const { grad: du } = rec.gradTarget(u);
  const [tokens, width] = u.shape;
  bases.forEach((base, i) => {
    const site = siteOf(group, base);
    if (!site) return;
    const dy = rec.gradOf(outputs[i]);
    invariant(dy, `${site.path}: no gradient`);
    const { columns, column, outputs: o } = site;
    const alpha = alphaOf(group, site);
    const label = `${base.target} B`;
    product(rec, {
      m: tokens,
      n: columns,
      k: o,
      left: { tensor: dy, stride: o, order: row },
      right: { tensor: site.up, stride: o, order: row },
      alpha,
      out: { tensor: du, start: column, stride: width },
      label: `${label} du`,
    });
    if (context.search?.level === 'upper') return;
    product(rec, {
      m: columns,
      n: o,
      k: tokens,
      left: { tensor: u, start: column, stride: width, order: col },
      right: { tensor: dy, stride: o, order: col },
      alpha,
      out: { tensor: context.store.gradOf(site.up), stride: o },
      accumulate: 1,
      label: `${label} gradient`,
    });
  });
}

/** dA, dW_r, and ∂L/∂x through them and through the frozen weights. */
function downBackward(
  rec: Recorder,
  { group, context, bases, outputs, x, dropped, h }: Parts,
): void {
  const dh = rec.gradOf(h);
  invariant(dh, 'adapter: no gradient of the down-projection');
  const tokens = h.shape[0];
  const width = dh.shape[1];
  const [rows, inputs] = group.down.shape;
  const { columns } = group.layout;
  const bank = context.store.gradOf(group.down);
  const bankGradient = (from: number, count: number, seen: Tensor) => {
    if (count === 0 || context.search?.level === 'upper') return;
    product(rec, {
      m: count,
      n: inputs,
      k: tokens,
      left: { tensor: dh, start: from, stride: width, order: col },
      right: { tensor: seen, stride: inputs, order: col },
      out: { tensor: bank, start: from * inputs, stride: inputs },
      accumulate: 1,
      label: 'A gradient',
    });
  };
  const through = (from: number, count: number) => ({
    k: count,
    left: { tensor: dh, start: from, stride: width },
    right: { tensor: group.down, start: from * inputs, stride: inputs, order: col },
  });
  if (dropped === x) {
    bankGradient(0, rows, x);
    inputGradient(rec, bases, outputs, x, through(0, rows));
    return;
  }
  bankGradient(0, columns, dropped);
  bankGradient(columns, rows - columns, x);
  inputGradient(
    rec,
    bases,
    outputs,
    x,
    rows > columns ? through(columns, rows - columns) : undefined,
  );
  if (!x.requiresGrad) return;
  const { grad, accumulate } = rec.gradTarget(dropped);
  const { k, left, right } = through(0, columns);
  product(rec, {
    m: tokens,
    n: inputs,
    k,
    left: { ...left, order: row },
    right,
    out: { tensor: grad, stride: inputs },
    accumulate,
    label: 'A dx',
  });
}

/**
 * y = x·W0ᵀ (+ b) + Σ_i w_i s_i · dropout(x)·A_iᵀ·B_iᵀ for the linears of one input group (method
 * §1), or the plain linears where `group` is undefined. All experts are computed and gated, never
 * gathered.
 * @param x (N, C)
 * @returns y (N, O) of each base, in order
 */
export function adaptedLinears(
  rec: Recorder,
  bases: readonly Linear[],
  x: Tensor,
  group: Group | undefined,
  context: AdapterContext | null,
): Tensor[] {
  const tokens = x.shape[0];
  const outputs = bases.map((b) =>
    tensor(b.target, [tokens, b.weight.shape[0]], {
      requiresGrad: x.requiresGrad || Boolean(siteOf(group, b)),
    }),
  );
  if (!group || !context) {
    bases.forEach((b, i) => product(rec, baseProduct(b, x, outputs[i])));
    rec.onBackward(() => inputGradient(rec, bases, outputs, x));
    return outputs;
  }
  const { columns } = group.layout;
  const [rows, inputs] = group.down.shape;
  const dropped = context.dropout && rec.training ? dropout(rec, x, group.input) : x;
  const h = tensor('h', [tokens, rows], { requiresGrad: true });
  const down = (from: number, count: number, seen: Tensor) =>
    product(rec, {
      m: tokens,
      n: count,
      k: inputs,
      left: { tensor: seen, stride: inputs, order: row },
      right: { tensor: group.down, start: from * inputs, stride: inputs, order: row },
      out: { tensor: h, start: from, stride: rows },
      label: 'A',
    });
  if (dropped === x) down(0, rows, x);
  else {
    down(0, columns, dropped);
    if (rows > columns) down(columns, rows - columns, x);
  }
  const parts: Parts = { group, context, bases, x, dropped, h, u: h, outputs };
  rec.onBackward(() => downBackward(rec, parts));
  if (group.routed) {
    const { routing: state, routedExperts: total, lengths, time } = context;
    const routing = { state, total, start: group.routingStart, lengths, time };
    const { search } = context;
    if (search) {
      const { group: masked, rowScale, out } = search.of(group);
      parts.u = searchGate(rec, h, rowScale, search.sizes, masked, routing, search, out).u;
    } else parts.u = gate(rec, h, group.layout, routing);
  }
  bases.forEach((base, i) => {
    const site = siteOf(group, base);
    const second = site && {
      k: site.columns,
      left: { tensor: parts.u, start: site.column, stride: columns },
      right: { tensor: site.up, stride: site.outputs, order: col },
      alpha: alphaOf(group, site),
    };
    product(rec, { ...baseProduct(base, x, outputs[i]), second });
  });
  rec.onBackward(() => upBackward(rec, parts));
  return outputs;
}
