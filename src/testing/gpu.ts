// One GPU device for a test file, in Node (Dawn) and in Chromium alike, and the runner of op cases.
import { afterAll, expect, test } from 'vitest';
import { readBuffer } from '../gpu/buffers.ts';
import { createGpu, type DeviceTraits, type Gpu } from '../gpu/device.ts';
import { packStep } from '../gpu/kernel.ts';
import type { Choice } from '../gpu/variants.ts';
import type { Family } from '../graph/family.ts';
import { Program, ProgramMemory } from '../graph/program.ts';
import { Recorder } from '../graph/recorder.ts';
import { startOf, type Tensor, tensor } from '../graph/tensor.ts';
import { canRun, defaultVariants } from '../ops/families.ts';
import { Random } from '../util/random.ts';

// Workgroup memory starts as it is: no kernel may rely on zeros there, and to put them there
// SwiftShader compiles for 0.7 ms an element. vitest.config.ts gives Chromium the same.
const DAWN_FLAGS = ['enable-dawn-features=disable_workgroup_init'];

let shared: Promise<Gpu> | null = null;

/** The test file's device. */
export function testGpu(): Promise<Gpu> {
  shared ??= openGpu();
  return shared;
}

/** A device of its own, which the caller destroys. */
export async function openGpu(): Promise<Gpu> {
  if (typeof navigator === 'undefined' || !('gpu' in navigator) || !navigator.gpu) {
    const dawn = await import('../cli/dawn.ts');
    return createGpu(await dawn.dawnProvider(DAWN_FLAGS));
  }
  return createGpu(navigator.gpu);
}

afterAll(async () => {
  const gpu = await shared;
  gpu?.check();
});

/** Seeded values in (−scale, scale). */
export function values(seed: number, n: number, scale = 1): Float32Array<ArrayBuffer> {
  const r = new Random(seed, 'test values');
  return Float32Array.from({ length: n }, () => Math.fround((r.uniform() * 2 - 1) * scale));
}

/**
 * A test for each variant of a family, with its name in the title; skipped where the device cannot
 * run it. The rest of the kernels are the device's own.
 */
export function testVariants<C>(
  family: Family<C>,
  title: string,
  body: (kernels: Choice) => Promise<void>,
): void {
  for (const variant of family.variants)
    test(`${title}, ${family.name}=${variant.name}`, async ({ skip }) => {
      if (!canRun(await testGpu(), family, variant)) skip('the device cannot run it');
      await body({ [family.name]: variant.name });
    });
}

/** Data for a state tensor of a test program. */
export type Inputs = Record<
  string,
  {
    shape: number[];
    data: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;
    dtype?: Tensor['dtype'];
    grad?: boolean;
    /** Where its gradient starts, which backward passes add to (`t.x.gradient`). */
    gradient?: Float32Array<ArrayBuffer>;
  }
>;

/** What `runOp` needs: inputs become states; `record` returns the tensors to read back. */
export interface OpRun {
  inputs: Inputs;
  training?: boolean;
  kernels?: Choice;
  /** What the device is taken to offer less of. */
  traits?: Partial<DeviceTraits>;
  step?: Record<string, number>;
  /** Flops of a launch in one piece; long ones go in parts. */
  mostFlops?: number;
  record: (rec: Recorder, t: Record<string, Tensor>) => Record<string, Tensor>;
}

/** Records, compiles and runs one small program, and reads back what `record` returned. */
export async function runOp({
  inputs,
  training = false,
  kernels,
  traits,
  step = {},
  mostFlops,
  record,
}: OpRun): Promise<Record<string, Float32Array>> {
  const gpu = await testGpu();
  const memory = new ProgramMemory(gpu);
  const names = { ...defaultVariants(gpu).names, ...kernels };
  const rec = new Recorder({ device: { ...gpu, ...traits }, names }, training, mostFlops);
  let program: Program | undefined;
  try {
    const tensors = Object.fromEntries(
      Object.entries(inputs).map(([name, i]) => {
        const dtype = i.dtype ?? (i.data instanceof Uint32Array ? 'u32' : 'f32');
        const gradient =
          i.gradient && tensor(`d ${name}`, i.shape, { kind: 'state', data: i.gradient });
        if (gradient) memory.allocate(gradient);
        const [requiresGrad, { data }] = [i.grad ?? true, i];
        const t = tensor(name, i.shape, { kind: 'state', dtype, requiresGrad, gradient, data });
        memory.allocate(t);
        return [name, t];
      }),
    );
    const out = record(rec, tensors);
    program = await Program.compile(rec, memory, { share: false });
    gpu.device.queue.writeBuffer(memory.step, 0, packStep(step));
    program.replay({ flopsPerSubmit: mostFlops && mostFlops / 8 });
    const result: Record<string, Float32Array> = {};
    for (const [name, t] of Object.entries(out)) {
      const size = t.shape.reduce((a, b) => a * b, 1) * 4;
      result[name] = new Float32Array(await readBuffer(gpu, program.bufferOf(t), startOf(t), size));
    }
    gpu.check();
    return result;
  } finally {
    program?.destroy();
    memory.destroy();
  }
}

/** Relative error ‖a − b‖₂ / ‖b‖₂. */
export function relativeError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < a.length; i++) {
    difference += (a[i] - b[i]) ** 2;
    norm += b[i] ** 2;
  }
  return Math.sqrt(difference) / Math.max(Math.sqrt(norm), 1e-30);
}

/** Fails unless ‖a − b‖ ≤ bound·‖b‖ and every value is finite. */
export function expectClose(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  bound: number,
  what = 'values',
): void {
  expect(Array.prototype.every.call(a, Number.isFinite), `${what} are finite`).toBe(true);
  const error = relativeError(a, b);
  expect(error, `${what}: relative error ${error} above ${bound}`).toBeLessThanOrEqual(bound);
}
