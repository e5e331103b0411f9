// What a search step costs beside a plain micro-step, on one model shape with random weights, in
// one run.

import { initialValues } from '../adapters/init.ts';
import { layoutAdapter } from '../adapters/layout.ts';
import { defaultSettings, methods } from '../adapters/methods/methods.ts';
import { siteDims, targetNames, uniformAllocation } from '../allocation/allocation.ts';
import { idle } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import type { ModelConfig } from '../model/config.ts';
import type { LoadedModel } from '../model/load.ts';
import { alike, type BatchShape, microBatch } from '../train/batch.ts';
import { Runtime } from '../train/runtime.ts';
import { layoutSearch } from '../train/search/layout.ts';
import type { Order } from '../train/search/programs.ts';
import { SearchRuntime } from '../train/search/runtime.ts';
import { Random } from '../util/random.ts';
import { SMOLLM2_135M } from './shapes.ts';

/** The demo model's shape. */
export const DEMO_SHAPE: ModelConfig = {
  ...SMOLLM2_135M,
  hidden: 128,
  layers: 4,
  heads: 4,
  kvHeads: 2,
  headDim: 32,
  feedForward: 384,
  vocab: 784,
  rope: { theta: 10000, scaling: { type: 'default' } },
  maxPositions: 256,
};

/**
 * A whole search step (upper step with its update, and the pair's lower micro-step) beside forward
 * and backward of a uniform LoRA-MoE.
 */
export interface SearchCost {
  step: string;
  milliseconds: number;
  /**
   * Its time over the mean of the plain micro-steps right before and after it: the median over
   * rounds, and all of them.
   */
  ratio: number;
  ratios: number[];
  /**
   * The same by the process's CPU time, where a clock for it was given: on a software renderer less
   * swayed by what else runs.
   */
  cpuRatio: number | null;
  /** The same by counted flops. */
  flopRatio: number;
}

const ESTIMATORS = ['survival', 'paper'] as const;
const ORDERS = ['first-order', 'second-order'] as const satisfies Order[];

/** The steps that are timed. */
export const SEARCH_STEPS = ESTIMATORS.flatMap((estimator) =>
  ORDERS.map((order) => `${estimator}, ${order}` as const),
);

/** What `timeSearch` measured. */
export interface SearchCosts {
  /** Median of the plain micro-steps. */
  plainMilliseconds: number;
  plainFlops: number;
  steps: SearchCost[];
}

const wait = (gpu: Gpu): Promise<void> =>
  idle(gpu.device.queue.onSubmittedWorkDone().then(() => undefined));
const median = (v: readonly number[]): number =>
  [...v].sort((a, b) => a - b)[Math.floor(v.length / 2)];

/**
 * Times steps in turn, `rounds` times, at 8 experts of rank 8, top-2, all sites, on micro-batches
 * of 8 rows of 32 tokens.
 * @param options.cpu milliseconds of CPU time that the process has used
 * @param options.only the one step to time
 */
export async function timeSearch(
  model: LoadedModel,
  rounds: number,
  options: {
    cpu?: () => number;
    only?: (typeof SEARCH_STEPS)[number];
    signal?: AbortSignal;
  } = {},
): Promise<SearchCosts> {
  const { cpu, only, signal } = options;
  const { gpu, config } = model;
  const dims = siteDims(config);
  const spec = {
    ...defaultSettings(),
    method: methods[0].name,
    targets: targetNames,
    rank: 8,
    alpha: 16,
    dropout: 0,
  };
  const shape: BatchShape = { rows: 8, seqLen: 32, targets: 64 };
  const rows = Array.from({ length: shape.rows }, (_, r) => {
    const ids = Array.from({ length: shape.seqLen }, (_, t) => (r * 97 + t * 7919) % config.vocab);
    return { ids, labels: ids.map((id, t) => (t < shape.seqLen - 8 ? -100 : id)) };
  });
  const batch = microBatch(rows, shape);
  const scalars = { inverseTokens: 1 / batch.lossTokens, balanceScale: 0.001, number: 1 };
  const steps: {
    step: string;
    flops: number;
    go: () => void;
    free: () => void;
    walls: number[];
    ratios: number[];
    cpuRatios: number[];
  }[] = [];

  const allocation = uniformAllocation(config.layers, targetNames, 8, 8);
  const uniform = layoutAdapter({ ...spec, allocation }, config.layers, dims);
  uniform.store.allocate(gpu, initialValues(uniform, 1));
  const plain = await Runtime.create(model, uniform, alike(shape), { dropout: false });
  plain.flopsPerSubmit = Number.POSITIVE_INFINITY;
  for (const estimator of ESTIMATORS) {
    for (const order of ORDERS) {
      const name = `${estimator}, ${order}` as const;
      if (only && name !== only) continue;
      const layout = layoutSearch(spec, { estimator, closable: false }, config.layers, dims);
      const random = new Random(1, 'search cost');
      const normal = (n: number, scale: number) =>
        Float32Array.from({ length: n }, () => scale * random.normal());
      const { store } = layout.adapter;
      store.allocate(gpu, normal(store.size, 0.02));
      layout.upper.allocate(gpu, normal(layout.upper.size, 1));
      const how = {
        order,
        sizes: 'argmax',
        cost: 0,
        budget: null,
        dropout: false,
        seed: 1,
      } as const;
      const runtime = await SearchRuntime.create(model, layout, alike(shape), how);
      runtime.flopsPerSubmit = Number.POSITIVE_INFINITY;
      steps.push({
        step: name,
        flops: runtime.flops.upper + runtime.flops.lower,
        go: () => {
          runtime.beginPair(1);
          runtime.hypergradient(batch, batch, 1e-4, 0.001);
          runtime.upperUpdate(1e-3, 1);
          runtime.lower(batch, scalars);
        },
        free: () => {
          runtime.destroy();
          store.destroy();
          layout.upper.destroy();
        },
        walls: [],
        ratios: [],
        cpuRatios: [],
      });
    }
  }
  const timed = async (go: () => void) => {
    signal?.throwIfAborted();
    const [start, used] = [performance.now(), cpu?.() ?? 0];
    go();
    await wait(gpu);
    return { wall: performance.now() - start, used: (cpu?.() ?? 0) - used };
  };
  const micro = () => timed(() => plain.micro(batch, scalars));
  const plains: number[] = [];
  for (let round = -1; round < rounds; round++) {
    let before = await micro();
    for (const s of steps) {
      const own = await timed(s.go);
      const after = await micro();
      if (round >= 0) {
        plains.push(after.wall);
        s.walls.push(own.wall);
        s.ratios.push((2 * own.wall) / (before.wall + after.wall));
        s.cpuRatios.push((2 * own.used) / (before.used + after.used));
      }
      before = after;
    }
  }
  gpu.check();
  const result = {
    plainMilliseconds: median(plains),
    plainFlops: plain.flopsOf('micro'),
    steps: steps.map((s) => ({
      step: s.step,
      milliseconds: median(s.walls),
      ratio: median(s.ratios),
      ratios: s.ratios,
      cpuRatio: cpu ? median(s.cpuRatios) : null,
      flopRatio: s.flops / plain.flopsOf('micro'),
    })),
  };
  for (const s of steps) s.free();
  plain.destroy();
  uniform.store.destroy();
  return result;
}
