// The adapted linears of an input group: down → mix → up, with the base products, recorded with
// their backward. What a method makes of the down-projections is its own (method.ts).
import type { Target } from '../allocation/allocation.ts';
import type { Recorder } from '../graph/recorder.ts';
import { sideBySide, type Tensor, tensor } from '../graph/tensor.ts';
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
    dropout: null,
    ...options,
  },
});

/** The gradient of a linear's output, which every reader of it has added to by now. */
function outputGradient(rec: Recorder, output: Tensor): Tensor {
  const dy = rec.gradOf(output);
  invariant(dy, `${output.name}: no gradient`);
  return dy;
}

/** y = x·W0ᵀ + b. */
function baseProduct({ weight, bias, target }: Linear, x: Tensor, y: Tensor): Product {
  const [n, k] = weight.shape;
  const [left, right, out] = [byRows(x), byRows(weight), byRows(y)];
  return { m: x.shape[0], n, k, left, right, bias, out, label: target };
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
  const terms = bases.map((base, i): Product => {
    const [o, c] = base.weight.shape;
    const { grad, accumulate } = rec.gradTarget(x);
    return {
      m: x.shape[0],
      n: c,
      k: o,
      left: byRows(outputGradient(rec, outputs[i])),
      right: byColumns(base.weight),
      lowRank: i === 0 ? lowRank : undefined,
      out: byRows(grad),
      accumulate,
      label: `${base.target} dx`,
    };
  });
  product(rec, ...terms);
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

/** A site, its linear's output, and the scale of its columns. */
interface Up {
  site: Site;
  output: Tensor;
  alpha: number;
}

/** Gradients of up banks and of the columns that they read: du = s·dy·B, dBᵀ += s·uᵀ·dy. */
function upBackward(rec: Recorder, ups: readonly Up[], u: Tensor): void {
  const [m] = u.shape;
  const all = ups.map(({ site, output, alpha }) => {
    const { columns, column, outputs, up, target } = site;
    const dy = outputGradient(rec, output);
    const du: Product = {
      ...{ m, n: columns, k: outputs, alpha },
      ...{ left: byRows(dy), right: byRows(up), out: byRows(rec.gradTarget(u).grad, column) },
      label: `${target} B du`,
    };
    const dB: Product = {
      ...{ m: columns, n: outputs, k: m, alpha, accumulate: 1 },
      ...{ left: byColumns(u, column), right: byColumns(dy), out: byRows(rec.gradTarget(up).grad) },
      label: `${target} B gradient`,
    };
    return { up, du, dB };
  });
  product(rec, ...all.map(({ du }) => du));
  product(rec, ...all.filter(({ up }) => rec.wants(up)).map(({ dB }) => dB));
}

/**
 * y = x·W0ᵀ (+ b) + what the adapter adds, for the linears of one input group (method §1), or the
 * plain linears where `group` is undefined. All experts are computed and gated, never gathered.
 * @param x (N, C)
 * @param residual (N, O), added to the output of a single base; no op recorded later may read it
 * @returns y (N, O) of each base, in order
 */
export function adaptedLinears(
  rec: Recorder,
  bases: readonly Linear[],
  x: Tensor,
  group: Group | undefined,
  adapter: Adapter | null,
  residual?: Tensor,
): Tensor[] {
  const tokens = x.shape[0];
  const siteOf = (base: Linear) => group?.sites.find((s) => s.target === base.target);
  const outputs = sideBySide(
    bases.map((base) => ({
      name: base.target,
      shape: [tokens, base.weight.shape[0]],
      requiresGrad: x.requiresGrad || Boolean(siteOf(base)) || Boolean(residual?.requiresGrad),
    })),
  );
  const products = bases.map((base, i) => ({ ...baseProduct(base, x, outputs[i]), residual }));
  // Recorded last, so its backward runs first.
  const onResidual = () =>
    rec.onBackward(() => {
      if (!residual?.requiresGrad) return;
      const isFirst = rec.aliasGrad(residual, outputGradient(rec, outputs[0]));
      invariant(isFirst, `${residual.name}: a residual has no other reader before this one`);
    });
  if (!group || !adapter) {
    product(rec, ...products);
    rec.onBackward(() => inputGradient(rec, bases, outputs, x));
    onResidual();
    return outputs;
  }
  const { layout, context } = adapter;
  const rows = group.down.shape[0];
  const { dropout: places } = context;
  const seen = places && rec.training ? dropout(rec, x, group.input, places) : x;
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
  const ups = bases.map((base, i): Up | undefined => {
    const site = siteOf(base);
    const alpha = (site && scales?.[group.sites.indexOf(site)]) ?? 1;
    return site && { site, output: outputs[i], alpha };
  });
  const adapted = products.map((p, i): Product => {
    const of = ups[i];
    if (!of) return p;
    const [left, right] = [byRows(u, of.site.column), byColumns(of.site.up)];
    return { ...p, lowRank: { k: of.site.columns, left, right, alpha: of.alpha } };
  });
  product(rec, ...adapted);
  const present = ups.filter((of) => of !== undefined);
  rec.onBackward(() => upBackward(rec, present, u));
  onResidual();
  return outputs;
}

/** Adds what an adapter's method has of losses beside cross-entropy to the statistics. */
export const auxiliaryLosses = (
  rec: Recorder,
  { layout, context }: Adapter,
  statistics: Tensor,
): void => recordedHalf(layout).losses?.(rec, context, statistics);
