// The adapted linears of an input group: down → mix → up, with the base products, recorded with
// their backward. What a method makes of the down-projections is its own (method.ts).
import type { Target } from '../allocation/allocation.ts';
import type { Recorder } from '../graph/recorder.ts';
import { type Tensor, tensor } from '../graph/tensor.ts';
import { dropout } from '../ops/elementwise.ts';
import { byColumns, byRows, type Product, product } from '../ops/product/product.ts';
import { invariant } from '../util/error.ts';
import type { AdapterLayout, Group, Site } from './layout.ts';
import { type AdapterContext, recordedHalf } from './method.ts';

/** A frozen linear: weight (O, C), packed as loaded, and bias (O) in f32. */
export interface Linear {
  target: Target;
  weight: Tensor;
  bias?: Tensor;
}

/** An adapter and what a recording knows beside its layout. */
export interface Adapter {
  layout: AdapterLayout;
  context: AdapterContext;
}

/**
 * An adapter as a recording uses it; without options there is no dropout, and routing is counted.
 * @param routing f, P and n (routingSize(layout.routedExperts)), and the rows that they are of
 */
export const adapterOf = (
  layout: AdapterLayout,
  routing: Omit<AdapterContext['routing'], 'total'>,
  options: Partial<AdapterContext> = {},
): Adapter => ({
  layout,
  context: {
    routing: { ...routing, total: layout.routedExperts },
    counted: true,
    dropout: false,
    ...options,
  },
});

/** The gradient of a linear's output, which every reader of it has added to by now. */
function outputGradient(rec: Recorder, output: Tensor): Tensor {
  const dy = rec.gradOf(output);
  invariant(dy, `${output.name}: no gradient`);
  return dy;
}

/** y = x·W0ᵀ + b, and in its epilogue what `lowRank` adds. */
function baseProduct(
  rec: Recorder,
  base: Linear,
  x: Tensor,
  y: Tensor,
  lowRank?: Product['lowRank'],
): void {
  const [n, k] = base.weight.shape;
  product(rec, {
    m: x.shape[0],
    n,
    k,
    left: byRows(x),
    right: byRows(base.weight),
    lowRank,
    bias: base.bias,
    out: byRows(y),
    label: base.target,
  });
}

/** ∂L/∂x of frozen linears: Σ dy·W; the first product adds `lowRank` in its epilogue. */
function inputGradient(
  rec: Recorder,
  bases: readonly Linear[],
  outputs: readonly Tensor[],
  x: Tensor,
  lowRank?: Product['lowRank'],
): void {
  if (!x.requiresGrad) return;
  bases.forEach((base, i) => {
    const [o, c] = base.weight.shape;
    const { grad, accumulate } = rec.gradTarget(x);
    product(rec, {
      m: x.shape[0],
      n: c,
      k: o,
      left: byRows(outputGradient(rec, outputs[i])),
      right: byColumns(base.weight),
      lowRank: i === 0 ? lowRank : undefined,
      out: byRows(grad),
      accumulate,
      label: `${base.target} dx`,
    });
  });
}

/** Some rows of a group's down bank, and the input that they multiply. */
interface Rows {
  from: number;
  count: number;
  seen: Tensor;
}

/** h = seen·rowsᵀ, into the rows' columns of h. */
function downProduct(rec: Recorder, down: Tensor, h: Tensor, { from, count, seen }: Rows): void {
  const inputs = down.shape[1];
  product(rec, {
    m: seen.shape[0],
    n: count,
    k: inputs,
    left: byRows(seen),
    right: byRows(down, from * inputs),
    out: byRows(h, from),
    label: 'A',
  });
}

/** Gradients of the down bank, and ∂L/∂x through it and through the frozen weights. */
function downBackward(
  rec: Recorder,
  { down }: Group,
  parts: readonly Rows[],
  x: Tensor,
  h: Tensor,
  frozen: (lowRank: Product['lowRank']) => void,
): void {
  const dh = rec.gradOf(h);
  invariant(dh, 'no gradient of the down-projections');
  const inputs = down.shape[1];
  const through = ({ from, count }: Rows) => ({
    k: count,
    left: byRows(dh, from),
    right: byColumns(down, from * inputs),
  });
  if (rec.wants(down))
    for (const { from, count, seen } of parts)
      product(rec, {
        m: count,
        n: inputs,
        k: seen.shape[0],
        left: byColumns(dh, from),
        right: byColumns(seen),
        out: byRows(rec.gradTarget(down).grad, from * inputs),
        accumulate: 1,
        label: 'A gradient',
      });
  // The rows that see x itself ride along with the frozen weights; the others see dropout(x).
  const plain = parts.find(({ seen }) => seen === x);
  const dropped = parts.find(({ seen }) => seen !== x);
  frozen(plain && through(plain));
  if (!dropped?.seen.requiresGrad) return;
  const { k, left, right } = through(dropped);
  const { grad, accumulate } = rec.gradTarget(dropped.seen);
  product(rec, {
    m: h.shape[0],
    n: inputs,
    k,
    left,
    right,
    out: byRows(grad),
    accumulate,
    label: 'A dx',
  });
}

/** Gradients of a site's up bank and of the columns that it reads: du = s·dy·B, dBᵀ += s·uᵀ·dy. */
function upBackward(rec: Recorder, site: Site, u: Tensor, alpha: number, output: Tensor): void {
  const dy = outputGradient(rec, output);
  const { columns, column, outputs: o, up, target } = site;
  const [tokens] = u.shape;
  product(rec, {
    m: tokens,
    n: columns,
    k: o,
    left: byRows(dy),
    right: byRows(up),
    alpha,
    out: byRows(rec.gradTarget(u).grad, column),
    label: `${target} B du`,
  });
  if (!rec.wants(up)) return;
  product(rec, {
    m: columns,
    n: o,
    k: tokens,
    left: byColumns(u, column),
    right: byColumns(dy),
    alpha,
    out: byRows(rec.gradTarget(up).grad),
    accumulate: 1,
    label: `${target} B gradient`,
  });
}

/**
 * y = x·W0ᵀ (+ b) + what the adapter adds, for the linears of one input group (method §1), or the
 * plain linears where `group` is undefined. All experts are computed and gated, never gathered.
 * @param x (N, C)
 * @returns y (N, O) of each base, in order
 */
export function adaptedLinears(
  rec: Recorder,
  bases: readonly Linear[],
  x: Tensor,
  group: Group | undefined,
  adapter: Adapter | null,
): Tensor[] {
  const tokens = x.shape[0];
  const siteOf = (base: Linear) => group?.sites.find((s) => s.target === base.target);
  const outputs = bases.map((base) =>
    tensor(base.target, [tokens, base.weight.shape[0]], {
      requiresGrad: x.requiresGrad || Boolean(siteOf(base)),
    }),
  );
  if (!group || !adapter) {
    bases.forEach((base, i) => {
      baseProduct(rec, base, x, outputs[i]);
    });
    rec.onBackward(() => inputGradient(rec, bases, outputs, x));
    return outputs;
  }
  const { layout, context } = adapter;
  const rows = group.down.shape[0];
  const seen = context.dropout && rec.training ? dropout(rec, x, group.input) : x;
  const parts =
    seen === x
      ? [{ from: 0, count: rows, seen: x }]
      : [
          { from: 0, count: group.dropped, seen },
          { from: group.dropped, count: rows - group.dropped, seen: x },
        ].filter(({ count }) => count > 0);
  const h = tensor('h', [tokens, rows], { requiresGrad: true });
  for (const part of parts) downProduct(rec, group.down, h, part);
  rec.onBackward(() =>
    downBackward(rec, group, parts, x, h, (lowRank) =>
      inputGradient(rec, bases, outputs, x, lowRank),
    ),
  );
  const { u, scales } = recordedHalf(layout).mix(rec, group, h, context);
  bases.forEach((base, i) => {
    const site = siteOf(base);
    const alpha = (site && scales?.[group.sites.indexOf(site)]) ?? 1;
    const lowRank = site && {
      k: site.columns,
      left: byRows(u, site.column),
      right: byColumns(site.up),
      alpha,
    };
    baseProduct(rec, base, x, outputs[i], lowRank);
  });
  rec.onBackward(() => {
    bases.forEach((base, i) => {
      const site = siteOf(base);
      if (!site) return;
      upBackward(rec, site, u, scales?.[group.sites.indexOf(site)] ?? 1, outputs[i]);
    });
  });
  return outputs;
}

/** Adds what an adapter's method has of losses beside cross-entropy to the statistics. */
export const auxiliaryLosses = (
  rec: Recorder,
  { layout, context }: Adapter,
  statistics: Tensor,
): void => recordedHalf(layout).losses?.(rec, context, statistics);
