// In the browser: our product beside jax-js's and tfjs's, in turn, and training steps. Driven by
// scripts/prove/bench.mjs.
import { defaultDevice, init, numpy as np } from '@jax-js/jax';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-webgpu';
import { SMOLLM2_135M } from '../../src/bench/shapes.ts';
import { randomModel, timeSteps } from '../../src/bench/step.ts';
import { createGpu } from '../../src/gpu/device.ts';
import { wallClock } from '../../src/graph/clock.ts';
import { variantFor } from '../../src/graph/family.ts';
import { timeCase } from '../../src/graph/tune.ts';
import { chooseVariants, SMOLLM2 } from '../../src/ops/families.ts';
import { products } from '../../src/ops/product/product.ts';

const [M, N, K] = [512, 1536, 576];
const [forward] = products.bench(SMOLLM2); // of these sizes

/**
 * @param {import('../../src/gpu/device.ts').Gpu} gpu
 * @param {import('../../src/gpu/variants.ts').Variants} variants
 */
const timeForward = (gpu, variants) =>
  timeCase(gpu, variantFor(variants, products, forward.c), forward, wallClock(gpu)); // as the peers
const left = Float32Array.from({ length: M * K }, (_, i) => ((i * 7) % 17) / 8 - 1);
const right = Float32Array.from({ length: N * K }, (_, i) => ((i * 13) % 19) / 9 - 1);

/** x·Wᵀ by each library: a function that runs once and waits, and one element to compare. */
async function peers() {
  await init('webgpu');
  defaultDevice('webgpu');
  await tf.setBackend('webgpu');
  await tf.ready();
  const [ja, jb] = [np.array(left, { shape: [M, K] }), np.array(right, { shape: [N, K] })];
  const [ta, tb] = [tf.tensor2d(left, [M, K]), tf.tensor2d(right, [N, K])];
  const jax = async () => {
    const c = np.matmul(ja.ref, np.transpose(jb.ref));
    await c.blockUntilReady();
    return c;
  };
  const tfjs = async () => {
    const c = tf.matMul(ta, tb, false, true);
    // One element read back waits for the product.
    const one = tf.slice(c, [0, 0], [1, 1]);
    await one.data();
    one.dispose();
    return c;
  };
  return { jax, tfjs };
}

/**
 * @template T
 * @param {() => Promise<T>} run
 * @param {(result: T) => void} free
 */
const timeOnce = async (run, free) => {
  const start = performance.now();
  const c = await run();
  const ms = performance.now() - start;
  free(c);
  return ms;
};

/** Rounds of all three in turn, so that a change of the machine's speed meets all alike. */
globalThis.compareProducts = async (rounds) => {
  const gpu = await createGpu(navigator.gpu);
  const variants = await chooseVariants(gpu);
  const { jax, tfjs } = await peers();
  const j = await jax();
  const t = await tfjs();
  let want = 0;
  for (let k = 0; k < K; k++) want += left[5 * K + k] * right[7 * K + k];
  const jv = (await j.data())[5 * N + 7];
  const tv = (await t.data())[5 * N + 7];
  if (Math.abs(jv - want) > 1e-2 || Math.abs(tv - want) > 1e-2)
    throw new Error(`a peer's product is wrong: ${jv}, ${tv}, not ${want}`);
  /** @type {import('./_pages.d.ts').Times} */
  const times = { ours: [], jax: [], tfjs: [] };
  for (let i = 0; i < rounds; i++) {
    times.ours.push((await timeForward(gpu, variants)).milliseconds);
    times.jax.push(
      Math.min(
        await timeOnce(jax, (c) => c.dispose?.()),
        await timeOnce(jax, (c) => c.dispose?.()),
        await timeOnce(jax, (c) => c.dispose?.()),
      ),
    );
    times.tfjs.push(await timeOnce(tfjs, (c) => c.dispose()));
  }
  return { device: gpu.name, kernels: variants.names, times };
};

globalThis.trainingSteps = async (layers, tokens, repeats) => {
  const gpu = await createGpu(navigator.gpu);
  const variants = await chooseVariants(gpu);
  const model = await randomModel(gpu, { ...SMOLLM2_135M, layers }, variants);
  const steps = [];
  for (const method of /** @type {const} */ (['lora', 'lora-moe']))
    steps.push(await timeSteps(model, method, { seqLen: tokens, repeats, profile: false }));
  const best = await timeForward(gpu, variants);
  return { steps, best };
};
globalThis.ready = true;
