// The memory plan and the recorder's checks; no GPU.
import { expect, test } from 'vitest';
import { defineKernel } from '../gpu/kernel.ts';
import { imagined } from '../gpu/variants.ts';
import { fold } from './parts.ts';
import { plan } from './plan.ts';
import { Recorder } from './recorder.ts';
import { bytesOf, type Tensor, tensor } from './tensor.ts';

const copy = defineKernel(
  'copy',
  `@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1) fn main() { y[0] = x[0]; }`,
);
const step = (rec: Recorder, x: Tensor, y: Tensor) =>
  rec.launch({ kernel: copy, tensors: { x, y }, workgroups: 1 });

test('tensors whose lives do not meet share a slot; those that meet never do', () => {
  const rec = new Recorder(imagined(), false);
  const chain = [1000, 10, 900, 20, 800].map((n, i) => tensor(`t${i}`, [n]));
  for (let i = 0; i + 1 < chain.length; i++) step(rec, chain[i], chain[i + 1]);
  const { slots, slotBytes } = plan(rec.commands);
  expect(slotBytes.reduce((a, b) => a + b, 0)).toBe(4 * (1000 + 20));
  for (let i = 0; i + 1 < chain.length; i++)
    expect(slots.get(chain[i])).not.toBe(slots.get(chain[i + 1]));
  for (const t of chain) expect(slotBytes[slots.get(t)!]).toBeGreaterThanOrEqual(bytesOf(t));
  expect(plan(rec.commands, false).slotBytes.length).toBe(5);
});

test('only activations are planned', () => {
  const rec = new Recorder(imagined(), false);
  step(rec, tensor('w', [5], { kind: 'weight' }), tensor('s', [5], { kind: 'state' }));
  expect(plan(rec.commands).slotBytes).toEqual([]);
});

test('16-bit tensors are rounded up to whole words', () => {
  expect(bytesOf(tensor('h', [3, 3], { dtype: 'f16' }))).toBe(20);
});

test('a launch is checked against its kernel: missing, unknown and read-only operands, and the grid', () => {
  const rec = new Recorder(imagined(), false);
  const [x, y] = [tensor('x', [1]), tensor('y', [1])];
  expect(() => rec.launch({ kernel: copy, tensors: { x }, workgroups: 1 })).toThrow('binding y');
  expect(() => rec.launch({ kernel: copy, tensors: { x, y, z: x }, workgroups: 1 })).toThrow(
    'no binding z',
  );
  expect(() => step(rec, x, tensor('w', [1], { kind: 'weight' }))).toThrow('read-only');
  expect(() => rec.launch({ kernel: copy, tensors: { x, y }, workgroups: [70000, 1, 1] })).toThrow(
    'grid',
  );
  const [a, b] = fold(200_000);
  expect(a).toBeLessThanOrEqual(65535);
  expect(a * b).toBeGreaterThanOrEqual(200_000);
});

test('the tape runs backwards, adds to gradients that exist, and repeats a checkpointed block', () => {
  const rec = new Recorder(imagined(), true);
  const order: string[] = [];
  const x = tensor('x', [4], { requiresGrad: true });
  const block = () => {
    const y = tensor('y', [4], { requiresGrad: true });
    order.push(rec.recomputing ? 'again' : 'forward');
    rec.onBackward(() => order.push(`backward ${rec.gradOf(y) ? 'with' : 'without'} gradient`));
    return y;
  };
  const y = rec.checkpoint(block);
  rec.gradTarget(y);
  rec.backward();
  expect(order).toEqual(['forward', 'again', 'backward with gradient']);
  expect(rec.gradTarget(x).accumulate).toBe(0);
  expect(rec.gradTarget(x).accumulate).toBe(1);
  expect(rec.aliasGrad(x, tensor('g', [4]))).toBe(false);
});
