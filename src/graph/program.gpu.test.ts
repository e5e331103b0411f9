// Programs: the order of what they replay, submits in pieces, shared and unshared buffers, and what
// they free.
import { expect } from 'vitest';
import { readF32 } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { defaultVariants } from '../ops/families.ts';
import { test } from '../testing/fixtures.ts';
import { Program, ProgramMemory } from './program.ts';
import { Recorder } from './recorder.ts';
import { sideBySide, type Tensor, tensor } from './tensor.ts';

const sumKernel = defineKernel(
  'test_sum',
  `// uses: grid
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let i = flat_index(grid);
  if (i < arrayLength(&out)) { out[i] = x[i] + y[i]; }
}`,
);

/** out = x + y. */
function add(rec: Recorder, x: Tensor, y: Tensor, out = tensor('sum', [3])): Tensor {
  rec.launch({ kernel: sumKernel, tensors: { x, y, out }, threads: 3, flops: 3 });
  return out;
}

const state = (name: string, data: number[]) =>
  tensor(name, [data.length], { kind: 'state', data: Float32Array.from(data) });

/** total = total + x, eight times over, and a copy of it at the half; then x is cleared. */
function recorded(gpu: Gpu) {
  const rec = new Recorder(defaultVariants(gpu), false);
  const [x, total, half] = [state('x', [1, 2, 3]), state('total', [0, 0, 0]), state('half', [])];
  const seen = { ...half, shape: [3], data: undefined };
  let sum = total;
  for (let i = 0; i < 8; i++) {
    sum = add(rec, sum, x);
    if (i === 3) rec.copy(sum, seen);
  }
  rec.copy(sum, total);
  rec.clear(x);
  return { rec, x, total, seen };
}

test('commands replay in their order, whole or a submit for each', async ({ gpu, own }) => {
  for (const flopsPerSubmit of [undefined, 1]) {
    const { rec, x, total, seen } = recorded(gpu);
    const memory = own(new ProgramMemory(gpu));
    for (const t of [x, total, seen]) memory.allocate(t);
    const program = await Program.compile(rec, memory);
    program.replay({ flopsPerSubmit });
    expect([...(await readF32(gpu, memory.get(seen)))]).toEqual([4, 8, 12]);
    expect([...(await readF32(gpu, memory.get(total)))]).toEqual([8, 16, 24]);
    expect([...(await readF32(gpu, memory.get(x)))]).toEqual([0, 0, 0]);
    // x is 0 by now: another replay leaves the total as it is.
    program.replay({ flopsPerSubmit });
    expect([...(await readF32(gpu, memory.get(total)))]).toEqual([8, 16, 24]);
    expect(program.flops).toBe(8 * 3);
    program.destroy();
  }
});

test('activations share slots, or have a buffer each; progress counts the kernels', async ({
  gpu,
  own,
}) => {
  const results: number[][] = [];
  const made: number[] = [];
  for (const share of [true, false]) {
    const { rec, x, total, seen } = recorded(gpu);
    const memory = own(new ProgramMemory(gpu));
    for (const t of [x, total, seen]) memory.allocate(t);
    const before = gpu.created.buffers;
    const progress: [number, number][] = [];
    const onProgress = (done: number, of: number) => progress.push([done, of]);
    const program = await Program.compile(rec, memory, { share, onProgress });
    made.push(gpu.created.buffers - before);
    program.replay();
    results.push([...(await readF32(gpu, memory.get(total)))]);
    expect(progress).toEqual([[1, 1]]);
    program.destroy();
  }
  expect(results[1]).toEqual(results[0]);
  expect(made[0]).toBe(2 + 1); // two slots in turn, and the params
  expect(made[1]).toBe(8 + 1);
});

test('a tensor without a buffer is named; what a memory owns is freed with it', async ({ gpu }) => {
  const before = gpu.created.held;
  const memory = new ProgramMemory(gpu);
  const { rec, x, total } = recorded(gpu);
  for (const t of [x, total]) memory.allocate(t);
  await expect(Program.compile(rec, memory)).rejects.toThrow(/half has no buffer/);
  memory.destroy();
  expect(gpu.created.held).toBe(before);
});

test('tensors side by side share a buffer, and one is not written over the other', async ({
  gpu,
  own,
}) => {
  const rec = new Recorder(defaultVariants(gpu), false);
  const [x, total] = [state('x', [1, 2, 3]), state('total', [0, 0, 0])];
  const part = (name: string) => ({ name, shape: [3], requiresGrad: false });
  const [first, second] = sideBySide([part('first'), part('second')]);
  add(rec, x, x, first);
  add(rec, x, total, second);
  add(rec, first, second, total);
  const memory = own(new ProgramMemory(gpu));
  for (const t of [x, total]) memory.allocate(t);
  const program = await Program.compile(rec, memory);
  program.replay();
  expect([...(await readF32(gpu, memory.get(total)))]).toEqual([3, 6, 9]);
  expect(program.bufferOf(first)).toBe(program.bufferOf(second));
  expect(program.bufferOf(first).size).toBe(2 * 256);
});
