// Choosing the product variant by a short measurement, checked for correctness first; never by a
// vendor's name.
import { bufferOf, createBuffer, idle, readF32 } from '../../gpu/buffers.ts';
import type { Gpu } from '../../gpu/device.ts';
import { defaultVariants, productVariants, type Variants } from '../../gpu/variants.ts';
import { Memory, Program } from '../../graph/program.ts';
import { Recorder } from '../../graph/recorder.ts';
import { tensor } from '../../graph/tensor.ts';
import { product } from './product.ts';

/** A variant must be this much faster than the default to replace it. */
const MARGIN = 1.2;
const [M, N, K] = [256, 256, 256];

const chosen = new WeakMap<GPUDevice, Promise<Variants>>();

/** Milliseconds of a product in a variant (best of three), or null where its result is wrong. */
async function time(gpu: Gpu, variants: Variants): Promise<number | null> {
  const memory = new Memory(gpu);
  const element = (i: number, j: number) => ((i * 7 + j * 13) % 17) / 8 - 1;
  const matrix = (rows: number) =>
    Float32Array.from({ length: rows * K }, (_, e) => element(Math.floor(e / K), e % K));
  const state = (name: string, rows: number, columns: number, buffer: GPUBuffer) => {
    const t = tensor(name, [rows, columns], { kind: 'state' });
    memory.bind(t, buffer);
    return t;
  };
  const a = state('a', M, K, bufferOf(gpu, 'a', matrix(M)));
  const b = state('b', N, K, bufferOf(gpu, 'b', matrix(N)));
  const c = state('c', M, N, createBuffer(gpu, 'c', M * N * 4));
  const rec = new Recorder(variants, false);
  product(rec, {
    m: M,
    n: N,
    k: K,
    left: { tensor: a, stride: K, order: 'row' },
    right: { tensor: b, stride: K, order: 'row' },
    out: { tensor: c, stride: N },
  });
  const program = await Program.compile(rec, memory);
  try {
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 4; i++) {
      const start = performance.now();
      program.replay();
      await idle(gpu.device.queue.onSubmittedWorkDone().then(() => undefined));
      if (i > 0) best = Math.min(best, performance.now() - start);
    }
    const got = await readF32(gpu, memory.get(c));
    for (const [i, j] of [
      [0, 0],
      [3, 200],
      [M - 1, N - 1],
    ]) {
      let want = 0;
      for (let k = 0; k < K; k++) want += element(i, k) * element(j, k);
      if (Math.abs(got[i * N + j] - want) > 1e-3) return null;
    }
    return best;
  } finally {
    program.destroy();
    memory.destroy();
  }
}

async function measure(gpu: Gpu): Promise<Variants> {
  const first = defaultVariants(gpu);
  if (first.product === 'subgroup') return first;
  const tile = await time(gpu, first);
  // Where workgroup memory does not pay in products, it does not in row reductions.
  const others: Variants[] = productVariants(gpu).flatMap((product) =>
    product === 'tile' ? [] : [{ product, rows: 'thread' }],
  );
  let best = {
    variants: first,
    milliseconds: tile === null ? Number.POSITIVE_INFINITY : tile / MARGIN,
  };
  for (const variants of others) {
    const milliseconds = await time(gpu, variants);
    if (milliseconds !== null && milliseconds < best.milliseconds)
      best = { variants, milliseconds };
  }
  return best.variants;
}

/**
 * The variants for a device: where subgroups are 4 wide the 4-lane kernels are fixed, elsewhere
 * tiles unless another kernel is right and faster by a fifth: the 4-lane one, which wider subgroups
 * run in quads, or the register one. Measured once a device; a run records what it used and reuses
 * it on resume.
 */
export function chooseVariants(gpu: Gpu): Promise<Variants> {
  let variants = chosen.get(gpu.device);
  if (!variants) {
    variants = measure(gpu);
    chosen.set(gpu.device, variants);
  }
  return variants;
}
