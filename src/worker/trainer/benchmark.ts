// Measures the cases of `bench` on a device of its own, so that whatever becomes of it, the model
// and the run beside it stay as they are, and all of its memory is freed.
import { chooseCases, type Row, runCases, startBench } from '../../bench/cases.ts';
import { figuresOf, measurementsJson, measurementsText } from '../../bench/table.ts';
import { createGpu, type Gpu } from '../../gpu/device.ts';
import type { Choice } from '../../gpu/variants.ts';
import type { ChoiceStore } from '../../ops/choice-store.ts';
import { chooseVariants } from '../../ops/families.ts';
import type { BenchmarkProgress, BenchmarkReport } from '../protocol/benchmark.ts';

/** Steps that are timed, as on the command line. */
const REPEATS = 3;

/**
 * @param named only cases with this in their names; empty: those that are measured by default
 * @param report is called before each case
 * @throws InputError where no case has that name, or there is no device
 */
export async function benchmark(
  provider: GPU | undefined,
  named: string,
  choices: ChoiceStore,
  signal: AbortSignal,
  report: (progress: BenchmarkProgress) => void,
): Promise<BenchmarkReport> {
  const gpu = await createGpu(provider);
  try {
    return await measured(gpu, named, choices, signal, report);
  } finally {
    gpu.destroy();
  }
}

async function measured(
  gpu: Gpu,
  named: string,
  choices: ChoiceStore,
  signal: AbortSignal,
  report: (progress: BenchmarkProgress) => void,
): Promise<BenchmarkReport> {
  const cases = chooseCases(named === '' ? [] : [named], gpu);
  const rows: Row[] = [];
  let [current, done, start] = ['', 0, 0];
  const begin = (index: number) => {
    if (index === 0) start = performance.now();
    [current, done] = [cases[index].name, index];
    const seconds = (performance.now() - start) / 1000;
    // a mean of few says little
    const secondsLeft = index < 3 ? null : (seconds / index) * (cases.length - index);
    report({ type: 'measuring', name: current, done, total: cases.length, secondsLeft });
  };
  let [kernels, clock]: [Choice, string] = [{}, ''];
  let problem: string | null = null;
  try {
    const variants = await chooseVariants(gpu, undefined, choices);
    const bench = startBench(gpu, variants, { repeats: REPEATS, profile: false, signal });
    [kernels, clock] = [variants.names, bench.clock.name];
    await runCases(bench, cases, rows, begin);
    done = cases.length;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (!signal.aborted) problem = current === '' ? message : `${current}: ${message}`;
  }
  const about = { device: gpu.name, browser: choices.environment, clock };
  const found = { ...about, kernels, rows };
  return {
    ...about,
    rows: figuresOf(rows),
    text: measurementsText(found),
    json: measurementsJson(found),
    measured: done,
    cases: cases.length,
    problem,
  };
}
