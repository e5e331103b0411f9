// Pipelines: one for each kernel and device, compile errors that quote the line, and a second try.
import { expect } from 'vitest';
import { test } from '../testing/fixtures.ts';
import { defineKernel } from './kernel.ts';
import { pipelineOf } from './pipelines.ts';

const doubling = (line: string) => `@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(1)
fn main() {
  ${line}
}`;

test('a kernel is compiled once', async ({ gpu }) => {
  const kernel = defineKernel('test_once', doubling('x[0] = 2.0 * x[0];'));
  const first = pipelineOf(gpu, kernel);
  expect(pipelineOf(gpu, kernel)).toBe(first);
  expect(await first).toHaveProperty('layout');
});

test('a compile error names the kernel and quotes its line; the next try compiles again', async ({
  gpu,
}) => {
  const broken = defineKernel('test_broken', doubling('x[0] = 2.0 * nothing;'));
  await expect(pipelineOf(gpu, broken)).rejects.toThrow(/Kernel test_broken does not compile/);
  await expect(pipelineOf(gpu, broken)).rejects.toThrow(/line 4:.*\n {4}x\[0\] = 2\.0 \* nothing;/);
  const mended = { ...broken, code: doubling('x[0] = 2.0 * x[0];') };
  expect(await pipelineOf(gpu, mended)).toHaveProperty('pipeline');
});
