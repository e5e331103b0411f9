// What `bench` measures, case by case: kernels in every variant, training steps, prefill and
// decoding at the sizes of known models, and what the device can do at most.
import type { MethodName } from '../adapters/methods/methods.ts';
import { methodNames } from '../adapters/methods/methods.ts';
import type { Gpu } from '../gpu/device.ts';
import { defineKernel } from '../gpu/kernel.ts';
import type { Variants } from '../gpu/variants.ts';
import { type Clock, clockOf } from '../graph/clock.ts';
import { blank, type Family, sample, type Variant } from '../graph/family.ts';
import type { ProfileRow } from '../graph/profiler.ts';
import type { Tensor } from '../graph/tensor.ts';
import { timeCase } from '../graph/tune.ts';
import type { ModelConfig } from '../model/config.ts';
import type { LoadedModel } from '../model/load.ts';
import { families } from '../ops/families.ts';
import { InputError } from '../util/error.ts';
import { timeGeneration } from './generation.ts';
import { DEMO_SHAPE, SEARCH_STEPS, timeSearch } from './search.ts';
import { SHAPES } from './shapes.ts';
import { randomModel, timeSteps } from './step.ts';

/** One figure. */
export interface Row {
  /** The case, and its variant where it has several. */
  name: string;
  variant?: string;
  milliseconds: number;
  flops: number;
  /** Read and written, where memory is what bounds it. */
  bytes?: number;
  /** Launches, of a step or a token. */
  dispatches?: number;
  tokensPerSecond?: number;
  profile?: ProfileRow[] | null;
}

/** What cases are measured with. */
export interface Bench {
  gpu: Gpu;
  clock: Clock;
  variants: Variants;
  layers?: number;
  repeats: number;
  profile: boolean;
  /** Ends a case before its next replay or step: it throws then. */
  signal?: AbortSignal;
  /** Models by shape, made once. */
  models: Map<string, LoadedModel>;
}

/** A case by its name, as `--list` prints it. */
export interface Case {
  name: string;
  /** Measured without being named, on a device of either kind. */
  byDefault: { hardware: boolean; software: boolean };
  run(bench: Bench): Promise<Row[]>;
}

export const startBench = (
  gpu: Gpu,
  variants: Variants,
  options: Pick<Bench, 'layers' | 'repeats' | 'profile' | 'signal'>,
): Bench => {
  const clock = clockOf(gpu);
  const time: Clock['time'] = (program) => {
    options.signal?.throwIfAborted();
    return clock.time(program);
  };
  return { gpu, variants, clock: { ...clock, time }, models: new Map(), ...options };
};

const always = { hardware: true, software: true };
const onHardware = { hardware: true, software: false };

/** The shapes that are measured. */
const MODELS = ['smollm2-135m', 'qwen2.5-0.5b'] as const;
/** Rows and tokens of each, of a training step. */
const STEPS = [
  [1, 128],
  [1, 1024],
  [8, 256],
  [4, 1024],
] as const;

/** Waits between parts of long work, so that a thread hears when it is cancelled. */
function listening(signal: AbortSignal): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < 50) return;
    await new Promise((resolve) => setTimeout(resolve));
    signal.throwIfAborted();
    last = performance.now();
  };
}

/** A model of random weights, in 16 bits as checkpoints have them. */
async function modelOf(bench: Bench, name: string): Promise<LoadedModel> {
  const known = bench.models.get(name);
  if (known) return known;
  const { gpu, variants, signal, layers = SHAPES[name].layers } = bench;
  const config: ModelConfig = { ...SHAPES[name], layers };
  const made = await randomModel(gpu, config, variants, 'bf16', signal && listening(signal));
  bench.models.set(name, made);
  return made;
}

/**
 * Runs cases in turn and frees what was made, also where one fails.
 * @param rows takes what each has measured
 * @param begin is called with a case's place before it runs
 */
export async function runCases(
  bench: Bench,
  cases: readonly Case[],
  rows: Row[],
  begin: (index: number) => void,
): Promise<void> {
  try {
    for (const [i, { run }] of cases.entries()) {
      bench.signal?.throwIfAborted();
      begin(i);
      const measured = await run(bench);
      bench.gpu.check();
      rows.push(...measured);
    }
  } finally {
    for (const { memory } of bench.models.values()) memory.destroy();
  }
}

type Loop = { x: Tensor; y: Tensor };

/** How fast multiply-adds can be: 16 chains per thread, from registers. */
const multiplyAdds: Variant<Loop> = {
  name: 'multiply-add',
  can: () => true,
  record: (rec, { x, y }) =>
    rec.launch({
      kernel: defineKernel(
        'multiply_adds',
        `// uses: grid
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let i = flat_index(grid);
  let s = vec4<f32>(x[i % 4096u]);
  var a = s; var b = s + 1.0; var c = s + 2.0; var d = s + 3.0;
  for (var n = 0u; n < 256u; n++) {
    a = fma(a, s, b); b = fma(b, s, c); c = fma(c, s, d); d = fma(d, s, a);
  }
  let sum = a + b + c + d;
  y[i] = sum.x + sum.y + sum.z + sum.w;
}`,
      ),
      tensors: { x, y },
      threads: y.shape[0],
      flops: 2 * 16 * 256 * y.shape[0],
    }),
};

/** How fast memory is: y = x. */
const copying: Variant<Loop> = {
  name: 'copy',
  can: () => true,
  record: (rec, { x, y }) =>
    rec.launch({
      kernel: defineKernel(
        'copy_values',
        `// uses: grid
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;
@compute @workgroup_size(threads)
fn main(grid: Grid) {
  let i = flat_index(grid);
  if (i < arrayLength(&y)) { y[i] = x[i]; }
}`,
      ),
      tensors: { x, y },
      threads: y.shape[0] / 4,
    }),
};

const PEAK = 1 << 18;
const COPIED = 1 << 24;

const limits: Case[] = [
  {
    name: 'device/multiply-add',
    byDefault: always,
    async run({ gpu, clock }) {
      const c = { x: sample('x', 4096), y: blank('y', PEAK) };
      const { milliseconds, gflops } = await timeCase(
        gpu,
        multiplyAdds,
        { name: '', c, out: [] },
        clock,
      );
      const flops = gflops * milliseconds * 1e6;
      return [{ name: 'device/multiply-add', milliseconds, flops }];
    },
  },
  {
    name: 'device/copy',
    byDefault: always,
    async run({ gpu, clock }) {
      const c = { x: sample('x', COPIED), y: blank('y', COPIED) };
      const { milliseconds } = await timeCase(gpu, copying, { name: '', c, out: [] }, clock);
      return [{ name: 'device/copy', milliseconds, flops: 0, bytes: 8 * COPIED }];
    },
  },
];

/** The cases of a family at a model's sizes, in every variant that the device can run. */
function kernelCases<C>(shape: string, family: Family<C>): Case[] {
  return family.bench(SHAPES[shape]).map(({ name: of }, index) => {
    const name = `${family.name}/${shape}/${of}`;
    return {
      name,
      byDefault: shape === MODELS[0] ? always : onHardware,
      async run({ gpu, clock }) {
        const bench = family.bench(SHAPES[shape])[index];
        const rows: Row[] = [];
        for (const variant of family.variants.filter((v) => v.can(gpu, bench.c))) {
          const { milliseconds, gflops } = await timeCase(gpu, variant, bench, clock);
          const flops = gflops * milliseconds * 1e6;
          rows.push({ name, variant: variant.name, milliseconds, flops });
        }
        return rows;
      },
    };
  });
}

const stepCase = (
  shape: string,
  method: MethodName,
  [rows, seqLen]: readonly [number, number],
  tokens?: number,
): Case => {
  const name = `step/${shape}/${method}/${rows}x${seqLen}`;
  return {
    name,
    byDefault: shape === MODELS[0] && (tokens || rows * seqLen === 128) ? always : onHardware,
    async run(bench) {
      const { repeats, profile, signal } = bench;
      const options = { rows, seqLen, repeats, profile, signal };
      const step = await timeSteps(await modelOf(bench, shape), method, options);
      return [{ name, ...step }];
    },
  };
};

const generationCases = (shape: string): Case[] =>
  (['prefill', 'decode'] as const).map((pass) => {
    const name = `${pass}/${shape}${pass === 'prefill' ? '/1x512' : ''}`;
    return {
      name,
      byDefault: onHardware,
      run: async (bench) => [
        { name, ...(await timeGeneration(await modelOf(bench, shape), pass, bench)) },
      ],
    };
  });

/** Search steps at the demo model's shape, each beside plain micro-steps. */
const searchCase = (step: (typeof SEARCH_STEPS)[number]): Case => {
  const name = `search/demo/${step.replace(', ', '/')}`;
  return {
    name,
    byDefault: onHardware,
    async run(bench) {
      const model =
        bench.models.get('demo') ?? (await randomModel(bench.gpu, DEMO_SHAPE, bench.variants));
      bench.models.set('demo', model);
      const { plainMilliseconds, plainFlops, steps } = await timeSearch(model, bench.repeats, {
        only: step,
        signal: bench.signal,
      });
      const [{ milliseconds, flopRatio }] = steps;
      return [
        { name, variant: 'plain', milliseconds: plainMilliseconds, flops: plainFlops },
        { name, variant: 'search', milliseconds, flops: flopRatio * plainFlops },
      ];
    },
  };
};

/**
 * Every case, in the order in which they run.
 * @param tokens of one row, instead of the steps' own sizes
 */
export const casesOf = (tokens?: number): readonly Case[] => [
  ...limits,
  ...MODELS.flatMap((shape) => families.flatMap((family) => kernelCases(shape, family))),
  ...MODELS.flatMap((shape) => [
    ...[...methodNames]
      .reverse()
      .flatMap((method) =>
        (tokens ? [[1, tokens] as const] : STEPS).map((size) =>
          stepCase(shape, method, size, tokens),
        ),
      ),
    ...generationCases(shape),
  ]),
  ...SEARCH_STEPS.map(searchCase),
];

/**
 * The cases that have one of some texts in their names, or without a text those that are measured
 * by default.
 * @throws InputError `bad-option` where no case has it
 */
export function chooseCases(
  named: readonly string[],
  { software }: Pick<Gpu, 'software'>,
  tokens?: number,
): Case[] {
  const all = casesOf(tokens);
  if (named.length === 0)
    return all.filter(({ byDefault }) => (software ? byDefault.software : byDefault.hardware));
  const stranger = named.find((part) => !all.some(({ name }) => name.includes(part)));
  if (stranger !== undefined) {
    const kinds = [...new Set(all.map(({ name }) => `${name.split('/')[0]}/`))];
    throw new InputError(
      'bad-option',
      `No case has ${stranger} in its name; names begin with ${kinds.join(', ')}.`,
    );
  }
  return all.filter(({ name }) => named.some((part) => name.includes(part)));
}
