// Products that share a launch against float64, in every variant: each with its own output, as q, k
// and v, or accumulated into one; with and without a low-rank pair, of unequal M, N and K.
import { expect, test } from 'vitest';
import { imagined } from '../../gpu/variants.ts';
import { Recorder } from '../../graph/recorder.ts';
import { sideBySide, sizeOf, type Tensor, tensor } from '../../graph/tensor.ts';
import { matmul } from '../../reference/product.ts';
import { expectClose, runOp, testVariants, values } from '../../testing/gpu.ts';
import { byColumns, byRows, type Product, product, products } from './product.ts';

const [tokens, inputs, ranks] = [37, 16, [3, 0, 5]];
const outputs = [72, 24, 40];
const columns = [0, 3, 3]; // first of each one's in u
const all = outputs.reduce((a, b) => a + b);
const starts = outputs.map((_, i) => outputs.slice(0, i).reduce((a, b) => a + b, 0));

/** A part of a state's rows, in its buffer. */
const part = (within: Tensor, offset: number, shape: number[]): Tensor =>
  tensor(`part of ${within.name}`, shape, { kind: 'state', within, offset });

const data = {
  x: values(1, tokens * inputs),
  w: values(2, all * inputs),
  bias: values(3, 3 * 128),
  u: values(4, tokens * 8),
  up: values(5, 3 * 512),
  down: values(6, 8 * inputs),
  before: values(7, 3 * 512),
};

const tensors = (t: Record<string, Tensor>) => ({
  weights: outputs.map((o, i) => part(t.w, starts[i] * inputs, [o, inputs])),
  biases: outputs.map((o, i) => part(t.bias, 128 * i, [o])),
  ups: outputs.map((o, i) => part(t.up, 512 * i, [ranks[i], o])),
  gradients: outputs.map((o, i) => part(t.before, 512 * i, [ranks[i], o])),
  ys: sideBySide(outputs.map((o) => ({ name: 'y', shape: [tokens, o], requiresGrad: false }))),
});

/** Forward, sum of input gradients, gradients of columns and of up banks, of what is given as dy. */
function record(rec: Recorder, t: Record<string, Tensor>) {
  const { weights, biases, ups, gradients, ys } = tensors(t);
  const m = tokens;
  const forward = outputs.map(
    (n, i): Product => ({
      m,
      n,
      k: inputs,
      left: byRows(t.x),
      right: byRows(weights[i]),
      lowRank: ranks[i]
        ? { k: ranks[i], left: byRows(t.u, columns[i]), right: byColumns(ups[i]), alpha: 0.5 + i }
        : undefined,
      bias: biases[i],
      out: byRows(ys[i]),
    }),
  );
  const dx = tensor('dx', [m, inputs]);
  const sum = outputs.map(
    (k, i): Product => ({
      m,
      n: inputs,
      k,
      left: byRows(ys[i]),
      right: byColumns(weights[i]),
      lowRank:
        i === 0 ? { k: 8, left: byRows(t.u), right: byColumns(t.down), alpha: 2 } : undefined,
      out: byRows(dx),
      accumulate: i === 0 ? 0 : 1,
    }),
  );
  const sited = [0, 2];
  const du = tensor('du', [m, 8]);
  product(rec, ...forward);
  product(rec, ...sum);
  product(
    rec,
    ...sited.map((i) => ({
      m,
      n: ranks[i],
      k: outputs[i],
      left: byRows(ys[i]),
      right: byRows(ups[i]),
      alpha: 0.5 + i,
      out: byRows(du, columns[i]),
    })),
  );
  product(
    rec,
    ...sited.map((i) => ({
      m: ranks[i],
      n: outputs[i],
      k: m,
      left: byColumns(t.u, columns[i]),
      right: byColumns(ys[i]),
      alpha: 0.5 + i,
      out: byRows(gradients[i]),
      accumulate: 1 as const,
    })),
  );
  return { ys, dx, du, gradients };
}

const shapes: Record<keyof typeof data, number[]> = {
  x: [tokens, inputs],
  w: [all, inputs],
  bias: [3 * 128],
  u: [tokens, 8],
  up: [3 * 512],
  down: [8, inputs],
  before: [3 * 512],
};

testVariants(products, 'three products that share what they read', async (kernels) => {
  const bound = kernels.product === 'half' ? 5e-4 : 1e-6;
  const names = Object.keys(data) as (keyof typeof data)[];
  const out = await runOp({
    kernels,
    inputs: Object.fromEntries(names.map((n) => [n, { shape: shapes[n], data: data[n] }])),
    record: (rec, t) => {
      const { ys, dx, du, gradients } = record(rec, t);
      return { y0: ys[0], y1: ys[1], y2: ys[2], dx, du, d0: gradients[0], d2: gradients[2] };
    },
  });
  const { x, w, bias, u, up, down, before } = data;
  const dx = new Float64Array(tokens * inputs);
  const add = (values: Float64Array, factor = 1) => {
    for (const [i, v] of values.entries()) dx[i] += factor * v;
  };
  outputs.forEach((o, i) => {
    const [rank, alpha, y] = [ranks[i], 0.5 + i, out[`y${i}`]];
    const weight = (row: number, c: number) => w[(starts[i] + row) * inputs + c];
    const bank = (r: number, c: number) => up[512 * i + r * o + c];
    const column = (n: number, r: number) => u[n * 8 + columns[i] + r];
    const base = matmul(
      tokens,
      o,
      inputs,
      (n, c) => x[n * inputs + c],
      (c, j) => weight(j, c),
    );
    const extra = matmul(tokens, o, rank, column, bank);
    const want = base.map((v, at) => v + alpha * extra[at] + bias[128 * i + (at % o)]);
    expectClose(y, want, bound, `y ${i}`);
    add(matmul(tokens, inputs, o, (n, j) => y[n * o + j], weight));
    if (rank === 0) return;
    const du = matmul(
      tokens,
      rank,
      o,
      (n, j) => alpha * y[n * o + j],
      (j, r) => bank(r, j),
    );
    const got = Array.from(
      du,
      (_, at) => out.du[Math.floor(at / rank) * 8 + columns[i] + (at % rank)],
    );
    expectClose(got, du, bound, `du ${i}`);
    const dB = matmul(
      rank,
      o,
      tokens,
      (r, n) => alpha * column(n, r),
      (n, j) => y[n * o + j],
    );
    expectClose(
      out[`d${i}`],
      dB.map((v, at) => v + before[512 * i + at]),
      bound,
      `dB ${i}`,
    );
  });
  add(
    matmul(
      tokens,
      inputs,
      8,
      (n, r) => u[n * 8 + r],
      (r, c) => down[r * inputs + c],
    ),
    2,
  );
  expectClose(out.dx, dx, bound, 'dx');
});

test('tiles take one launch for each of the four, the kernels of software renderers one a product', () => {
  const count = (variant: string) => {
    const rec = new Recorder(imagined({ product: variant }), false);
    const names = Object.keys(shapes) as (keyof typeof data)[];
    record(rec, Object.fromEntries(names.map((n) => [n, tensor(n, shapes[n], { kind: 'state' })])));
    return rec.commands.length;
  };
  expect([count('tile'), count('register'), count('subgroup')]).toEqual([4, 10, 10]);
});

test('products on buffers apart, or that differ in form, are launched apart', () => {
  const rec = new Recorder(imagined({ product: 'tile' }), false);
  const state = (name: string, shape: number[], dtype: Tensor['dtype'] = 'f32') =>
    tensor(name, shape, { kind: 'state', dtype });
  const x = state('x', [8, 32]);
  const of = (right: Tensor, out = state('y', [8, 32])): Product => ({
    m: 8,
    n: 32,
    k: 32,
    left: byRows(x),
    right: byRows(right),
    out: byRows(out),
  });
  const both = state('both', [64, 32]);
  const [first, second] = [0, 1024].map((at) => part(both, at, [32, 32]));
  const ys = sideBySide(
    [1, 2, 3, 4].map((i) => ({ name: `y${i}`, shape: [8, 32], requiresGrad: false })),
  );
  const launches = (...list: Product[]) => {
    const before = rec.commands.length;
    product(rec, ...list);
    return rec.commands.length - before;
  };
  expect(launches(of(first, ys[0]), of(second, ys[1]))).toBe(1);
  expect(launches(of(first, ys[0]), of(state('apart', [32, 32]), ys[1]))).toBe(2);
  expect(launches(of(first, ys[0]), of(second))).toBe(2);
  expect(launches(of(first, ys[0]), { ...of(second, ys[1]), accumulate: 1 })).toBe(2);
  expect(launches(...[0, 1, 2, 3].map((i) => of(i % 2 ? first : second, ys[i])))).toBe(2);
  const residual = state('residual', [sizeOf(ys[0])]);
  expect(launches({ ...of(first, ys[0]), residual }, of(second, ys[1]))).toBe(2);
});
