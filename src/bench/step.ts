// Measurements of whole training steps of a model's shape with random weights.

import { initialValues } from '../adapters/init.ts';
import { type AdapterSpec, countParameters, layoutAdapter } from '../adapters/layout.ts';
import { defaultSettings, sizeLimits } from '../adapters/methods/methods.ts';
import { siteDims, targetNames, uniformAllocation } from '../allocation/allocation.ts';
import { idle, readBuffer, writeBuffer } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Variants } from '../gpu/variants.ts';
import { type ProfileRow, profile } from '../graph/profiler.ts';
import { flopsPerSubmitAt, ProgramMemory } from '../graph/program.ts';
import { sizeOf, startOf } from '../graph/tensor.ts';
import type { ModelConfig } from '../model/config.ts';
import type { LoadedModel } from '../model/load.ts';
import { symbolicWeights } from '../model/weights.ts';
import { defaultVariants } from '../ops/families.ts';
import { STATISTICS } from '../ops/loss.ts';
import { alike, type BatchShape, microBatch } from '../train/batch.ts';
import { Runtime } from '../train/runtime.ts';
import { Random } from '../util/random.ts';

const random = (n: number, scale: number): Float32Array<ArrayBuffer> => {
  const r = new Random(1, 'bench');
  const block = Float32Array.from(
    { length: Math.min(n, 65536) },
    () => (r.uniform() * 2 - 1) * scale,
  );
  const out = new Float32Array(n);
  for (let at = 0; at < n; at += block.length)
    out.set(block.subarray(0, Math.min(block.length, n - at)), at);
  return out;
};

const wait = (gpu: Gpu): Promise<void> =>
  idle(gpu.device.queue.onSubmittedWorkDone().then(() => undefined));

/** A training step's speed: `milliseconds` is the median micro-step with its update. */
export interface StepResult {
  method: AdapterSpec['method'];
  parameters: number;
  tokens: number;
  /** Launches of the micro-step and the update. */
  dispatches: number;
  milliseconds: number;
  tokensPerSecond: number;
  flops: number;
  gflops: number;
  profile: ProfileRow[] | null;
}

/** The upper halves of f32 numbers. */
function bfloat16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = bits[i] >>> 16;
  return out;
}

/**
 * A model of a shape with random weights on the device, matrices in `dtype`.
 * @param between is awaited between tensors
 */
export async function randomModel(
  gpu: Gpu,
  config: ModelConfig,
  variants: Variants = defaultVariants(gpu),
  dtype: 'f32' | 'bf16' = 'f32',
  between?: () => Promise<void>,
): Promise<LoadedModel> {
  const weights = symbolicWeights(config, () => dtype, gpu.maxBinding);
  const memory = new ProgramMemory(gpu);
  for (const t of weights.all) {
    const values = random(sizeOf(t), t.shape.length === 1 ? 1 : 1 / Math.sqrt(t.shape[1]));
    const buffer = memory.allocate(t, 'weights');
    writeBuffer(gpu, buffer, t.dtype === 'bf16' ? bfloat16(values) : values, startOf(t));
    await between?.();
  }
  return { name: 'random', gpu, config, weights, memory, variants };
}

/**
 * Steps of an adapter (8 experts of rank 8, top-2, all sites; or plain LoRA of rank 8) on `rows` rows
 * of `seqLen` tokens, of which the last `targets` carry loss. The first one is not to be timed.
 */
async function stepsOf(
  model: LoadedModel,
  method: AdapterSpec['method'],
  options: { rows?: number; seqLen: number; targets?: number; signal?: AbortSignal },
) {
  const { rows = 1, seqLen, targets = seqLen - 1, signal } = options;
  const { config, gpu } = model;
  const experts = sizeLimits({ method, experts: 8, rank: 8 }).maxExperts;
  const allocation = uniformAllocation(config.layers, targetNames, experts, 8);
  const layout = layoutAdapter(
    {
      ...defaultSettings(),
      method,
      targets: targetNames,
      rank: 8,
      alpha: 16,
      dropout: 0,
      allocation,
    },
    config.layers,
    siteDims(config),
  );
  layout.store.allocate(gpu, initialValues(layout, 1));
  const shape: BatchShape = { rows, seqLen, targets: rows * targets };
  const runtime = await Runtime.create(model, layout, alike(shape), { dropout: false });
  const ids = Array.from({ length: seqLen }, (_, i) => (i * 7919) % config.vocab);
  const labels = ids.map((id, t) => (t < seqLen - targets ? -100 : id));
  const batch = microBatch(Array(rows).fill({ ids, labels }), shape);
  const step = (number: number) => {
    signal?.throwIfAborted();
    const scalars = {
      learningRate: 1e-4,
      clipNorm: 1,
      inverseTokens: 1 / batch.lossTokens,
      balanceScale: 0.001,
      number,
    };
    runtime.micro(batch, scalars);
    runtime.update(scalars);
    return wait(gpu);
  };
  const free = () => {
    runtime.destroy();
    layout.store.destroy();
  };
  return { runtime, layout, step, free };
}

/**
 * Times training steps of an adapter (8 experts of rank 8, top-2, all sites; or plain LoRA of rank
 * 8) on `rows` rows of `seqLen` tokens.
 */
export async function timeSteps(
  model: LoadedModel,
  method: AdapterSpec['method'],
  options: {
    rows?: number;
    seqLen: number;
    repeats: number;
    profile: boolean;
    signal?: AbortSignal;
  },
): Promise<StepResult> {
  const { rows = 1, seqLen, repeats } = options;
  const { gpu } = model;
  const { runtime, layout, step, free } = await stepsOf(model, method, options);
  try {
    await step(1);
    const times: number[] = [];
    for (let i = 0; i < repeats; i++) {
      const start = performance.now();
      await step(i + 2);
      times.push(performance.now() - start);
    }
    gpu.check();
    const milliseconds = times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
    const flops = runtime.flopsOf('micro', 'update');
    const programs = (['micro', 'update'] as const).map((name) => runtime.programs.get(name)![0]);
    const isTimed = options.profile && gpu.timestamps;
    return {
      method,
      parameters: countParameters(layout),
      tokens: rows * seqLen,
      dispatches: programs.flatMap((p) => p.commands.filter((c) => c.type === 'dispatch')).length,
      milliseconds,
      tokensPerSecond: ((rows * seqLen) / milliseconds) * 1000,
      flops,
      gflops: flops / milliseconds / 1e6,
      profile: isTimed ? await profile(gpu, programs[0]) : null,
    };
  } finally {
    free();
  }
}

/** The longest submit of a micro-step. */
export interface LongestSubmit {
  tokens: number;
  loss: number;
  /** Milliseconds of the micro-step, by the wall clock. */
  milliseconds: number;
  submits: number;
  /** Milliseconds, by timestamp queries; null where the device has none. */
  longest: number | null;
}

const MOST_QUERIES = 4096;

/**
 * Runs LoRA steps on one row at the size of submits that a run would have. Few tokens carry loss: the
 * head's launches are short.
 */
export async function longestSubmit(model: LoadedModel, seqLen: number): Promise<LongestSubmit> {
  const { gpu } = model;
  const { device } = gpu;
  const { runtime, step, free } = await stepsOf(model, 'lora', { seqLen, targets: 64 });
  try {
    await step(1);
    const start = performance.now();
    await step(2);
    const milliseconds = performance.now() - start;
    const [micro] = runtime.programs.get('micro')!;
    const flopsPerSubmit = flopsPerSubmitAt(
      (runtime.flopsOf('micro', 'update') / milliseconds) * 1000,
    );
    const { crossEntropy, tokens } = STATISTICS;
    const statistics = await runtime.readStatistics();
    let submits = 0;
    const { submit } = device.queue;
    device.queue.submit = (buffers) => {
      submits++;
      return submit.call(device.queue, buffers);
    };
    const bounds = gpu.timestamps
      ? device.createQuerySet({ type: 'timestamp', count: MOST_QUERIES })
      : undefined;
    try {
      micro.replay({ flopsPerSubmit, bounds });
    } finally {
      device.queue.submit = submit;
    }
    await wait(gpu);
    let longest: number | null = null;
    if (bounds) {
      const bytes = 8 * Math.min(MOST_QUERIES, 2 * submits);
      const buffer = gpu.allocator.create('other', 'timestamps', bytes, 'timestamps');
      const encoder = device.createCommandEncoder();
      encoder.resolveQuerySet(bounds, 0, bytes / 8, buffer, 0);
      device.queue.submit([encoder.finish()]);
      const times = new BigUint64Array(await readBuffer(gpu, buffer, 0, bytes));
      longest = 0;
      for (let i = 0; i < times.length; i += 2)
        longest = Math.max(longest, Number(times[i + 1] - times[i]) / 1e6);
      gpu.allocator.free(buffer);
      bounds.destroy();
    }
    gpu.check();
    const loss = statistics[crossEntropy] / statistics[tokens];
    return { tokens: seqLen, loss, milliseconds, submits, longest };
  } finally {
    free();
  }
}
