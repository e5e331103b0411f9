// Timing the variants of a family, and choosing among them by what was measured.
import { readF32 } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { type Clock, clockOf } from './clock.ts';
import { type Bench, classOf, type Family, type ModelSizes, type Variant } from './family.ts';
import { Program, ProgramMemory } from './program.ts';
import { operandsOf, Recorder } from './recorder.ts';

/** A variant must be this much faster than the preferred one to replace it. */
const MARGIN = 1.2;
/** Replays that are timed; one before them warms up. */
const ROUNDS = 3;
const MOST_REPEATS = 2048;
/** Largest relative difference from the first variant. */
const TOLERANCE = 1e-3;

/** Uses a program that records a case `repeats` times. */
async function withProgram<C, T>(
  gpu: Gpu,
  variant: Variant<C>,
  { c }: Bench<C>,
  repeats: number,
  use: (program: Program) => Promise<T>,
): Promise<T> {
  const memory = new ProgramMemory(gpu);
  try {
    const rec = new Recorder({ device: gpu, names: {} }, false);
    for (let i = 0; i < repeats; i++) variant.record(rec, c);
    const states = rec.commands.flatMap(operandsOf).filter((t) => t.kind === 'state');
    for (const t of new Set(states)) memory.allocate(t);
    const program = await Program.compile(rec, memory);
    try {
      return await use(program);
    } finally {
      program.destroy();
    }
  } finally {
    memory.destroy();
  }
}

/** How fast a variant computes a case, and what it writes. */
export interface Measured {
  /** Of the fastest replay, and of the slowest. */
  milliseconds: number;
  slowest: number;
  gflops: number;
  out: Float32Array[];
}

const outputs = <C>(gpu: Gpu, program: Program, { out }: Bench<C>): Promise<Float32Array[]> =>
  Promise.all(out.map((t) => readF32(gpu, program.bufferOf(t))));

/** Milliseconds of some replays, after one that warms up. */
async function replayTimes(clock: Clock, program: Program): Promise<number[]> {
  await clock.time(program);
  const times: number[] = [];
  for (let i = 0; i < ROUNDS; i++) times.push(await clock.time(program));
  return times;
}

/** Measures a case, repeated in one submit until the clock can tell it from other work. */
export async function timeCase<C>(
  gpu: Gpu,
  variant: Variant<C>,
  bench: Bench<C>,
  clock = clockOf(gpu),
): Promise<Measured> {
  let repeats = 1;
  for (;;) {
    const measured = await withProgram(gpu, variant, bench, repeats, async (program) => {
      const times = await replayTimes(clock, program);
      const time = Math.min(...times);
      return {
        time,
        milliseconds: time / repeats,
        slowest: Math.max(...times) / repeats,
        gflops: program.flops / time / 1e6,
        out: await outputs(gpu, program, bench),
      };
    });
    const { time, ...result } = measured;
    if (time >= clock.least || repeats === MOST_REPEATS) return result;
    const wanted = Math.ceil((1.5 * clock.least * repeats) / Math.max(time, 1e-3));
    repeats = Math.min(MOST_REPEATS, Math.max(repeats + 1, wanted));
  }
}

function isClose(got: Float32Array, want: Float32Array): boolean {
  let [difference, norm] = [0, 0];
  want.forEach((w, i) => {
    difference += (got[i] - w) ** 2;
    norm += w ** 2;
  });
  return difference <= TOLERANCE ** 2 * norm;
}

/** Times of a class of cases in one variant, summed over the cases. */
interface Sums {
  fastest: number;
  slowest: number;
}

/**
 * For each class of a family's cases, the variant that is right and faster than `preferred` by a
 * clear margin: its slowest replays by a fifth than the fastest of the preferred one, so that noise
 * chooses nothing. Classes without one are left out, and those that time does not reach.
 * @param until when to end, in milliseconds of performance.now()
 */
export async function tune<C>(
  gpu: Gpu,
  family: Family<C>,
  preferred: string,
  sizes: ModelSizes,
  options: { clock?: Clock; until?: number } = {},
): Promise<Record<string, string>> {
  const { clock = clockOf(gpu), until = Number.POSITIVE_INFINITY } = options;
  const classes = new Map<string, Bench<C>[]>();
  for (const bench of family.bench(sizes)) {
    const key = classOf(family, bench.c);
    classes.set(key, [...(classes.get(key) ?? []), bench]);
  }
  const chosen: Record<string, string> = {};
  for (const [key, benches] of classes) {
    const sums = new Map<string, Sums>();
    for (const bench of benches) {
      if (performance.now() > until) return chosen;
      await timeVariants(gpu, family, bench, preferred, { clock, until }, sums);
    }
    if (performance.now() > until) return chosen;
    const limit = (sums.get(preferred)?.fastest ?? Number.POSITIVE_INFINITY) / MARGIN;
    const faster = [...sums].filter(([, { slowest }]) => slowest < limit);
    if (faster.length === 0) continue;
    chosen[key] = faster.reduce((a, b) => (b[1].fastest < a[1].fastest ? b : a))[0];
  }
  return chosen;
}

/** Adds the times of a case to the sums of each variant; a wrong one takes for ever. */
async function timeVariants<C>(
  gpu: Gpu,
  family: Family<C>,
  bench: Bench<C>,
  preferred: string,
  { clock, until }: { clock: Clock; until: number },
  sums: Map<string, Sums>,
): Promise<void> {
  const able = family.variants.filter((v) => v.can(gpu, bench.c));
  const considered = able.filter((v) => v.name === preferred || (v.suits?.(gpu) ?? true));
  const [oracle] = able;
  const result = (variant: Variant<C>) =>
    withProgram(gpu, variant, bench, 1, (program) => {
      program.replay();
      return outputs(gpu, program, bench);
    });
  const wanted = await result(oracle);
  if (considered.length < 2) {
    // Nothing to choose, but a wrong one gives way to the oracle.
    const found = considered[0] === oracle ? wanted : await result(considered[0]).catch(() => null);
    if (!found?.every((values, i) => isClose(values, wanted[i])))
      sums.set(oracle.name, { fastest: 0, slowest: 0 });
    return;
  }
  for (const variant of considered) {
    if (performance.now() > until) return;
    // A kernel that a driver does not compile is not chosen.
    const measured = await timeCase(gpu, variant, bench, clock).catch(() => null);
    const isRight = measured?.out.every((values, i) => isClose(values, wanted[i]));
    const { fastest, slowest } = sums.get(variant.name) ?? { fastest: 0, slowest: 0 };
    sums.set(variant.name, {
      fastest: fastest + (isRight ? measured!.milliseconds : Number.POSITIVE_INFINITY),
      slowest: slowest + (isRight ? measured!.slowest : Number.POSITIVE_INFINITY),
    });
  }
}
