// Timing the variants of a family, and choosing among them by what was measured.
import { idle, readF32 } from '../gpu/buffers.ts';
import type { Gpu } from '../gpu/device.ts';
import { type Bench, classOf, type Family, type Variant } from './family.ts';
import { Program, ProgramMemory } from './program.ts';
import { operandsOf, Recorder } from './recorder.ts';

/** A variant must be this much faster than the preferred one to replace it. */
const MARGIN = 1.2;
/** Milliseconds that one submit should take: waiting for it costs up to two. */
const WORK = 20;
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
  milliseconds: number;
  gflops: number;
  out: Float32Array[];
}

const outputs = <C>(gpu: Gpu, program: Program, { out }: Bench<C>): Promise<Float32Array[]> =>
  Promise.all(out.map((t) => readF32(gpu, program.bufferOf(t))));

/** The best of up to three submits, after one that warms up. */
async function replayTime(gpu: Gpu, program: Program): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  let spent = 0;
  for (let i = 0; i < 2 || (i < 4 && spent < 10 * WORK); i++) {
    const start = performance.now();
    program.replay({ flopsPerSubmit: Number.POSITIVE_INFINITY });
    await idle(gpu.device.queue.onSubmittedWorkDone().then(() => undefined));
    const time = performance.now() - start;
    if (i > 0) best = Math.min(best, time);
    spent += time;
  }
  return best;
}

/**
 * Measures a case, repeated in one submit until it, and not the waiting for it, is what is timed.
 * Timestamps are not used: browsers round them.
 */
export async function timeCase<C>(
  gpu: Gpu,
  variant: Variant<C>,
  bench: Bench<C>,
): Promise<Measured> {
  let repeats = 1;
  for (;;) {
    const measured = await withProgram(gpu, variant, bench, repeats, async (program) => {
      const time = await replayTime(gpu, program);
      const out = await outputs(gpu, program, bench);
      return {
        time,
        milliseconds: time / repeats,
        gflops: program.flops / time / 1e6,
        out,
      };
    });
    const { time, ...result } = measured;
    if (time >= WORK || repeats === MOST_REPEATS) return result;
    repeats = Math.min(MOST_REPEATS, Math.ceil((1.5 * WORK * repeats) / time));
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

/**
 * For each class of a family's cases, the variant that is right and faster than `preferred` by a
 * clear margin; classes without one are left out.
 */
export async function tune<C>(
  gpu: Gpu,
  family: Family<C>,
  preferred: string,
): Promise<Record<string, string>> {
  const times = new Map<string, Map<string, number>>();
  for (const bench of family.bench()) {
    const able = family.variants.filter((v) => v.can(gpu, bench.c));
    const considered = able.filter((v) => v.name === preferred || (v.suits?.(gpu) ?? true));
    if (considered.length < 2) continue;
    const key = classOf(family, bench.c);
    const sums = times.get(key) ?? new Map<string, number>();
    times.set(key, sums);
    const wanted = await withProgram(gpu, able[0], bench, 1, (program) => {
      program.replay();
      return outputs(gpu, program, bench);
    });
    for (const variant of considered) {
      // A kernel that a driver does not compile is not chosen.
      const measured = await timeCase(gpu, variant, bench).catch(() => null);
      const isRight = measured?.out.every((values, i) => isClose(values, wanted[i]));
      const time = isRight ? measured!.milliseconds : Number.POSITIVE_INFINITY;
      sums.set(variant.name, (sums.get(variant.name) ?? 0) + time);
    }
  }
  const chosen: Record<string, string> = {};
  for (const [key, sums] of times) {
    const [name, best] = [...sums].reduce((a, b) => (b[1] < a[1] ? b : a));
    if (best * MARGIN < (sums.get(preferred) ?? Number.POSITIVE_INFINITY)) chosen[key] = name;
  }
  return chosen;
}
