// bench: how fast the kernels and whole training steps are on this device, as a table and as JSON.

import { methodNames } from '../../adapters/methods/methods.ts';
import { DEMO_SHAPE, type SearchCosts, timeSearch } from '../../bench/search.ts';
import { SMOLLM2_135M } from '../../bench/shapes.ts';
import { randomModel, type StepResult, timeSteps } from '../../bench/step.ts';
import type { Gpu } from '../../gpu/device.ts';
import { clockOf } from '../../graph/clock.ts';
import type { Family } from '../../graph/family.ts';
import { timeCase } from '../../graph/tune.ts';
import { families, SMOLLM2 } from '../../ops/families.ts';
import { products } from '../../ops/product/product.ts';
import { command } from '../command.ts';
import { kernelsOf, shared } from '../inputs.ts';
import { flag, whole } from '../options.ts';
import type { Progress } from '../progress.ts';

const cell = (v: number, digits: number, width: number): string =>
  v.toFixed(digits).padStart(width);

/** How fast a variant computes a case. */
interface Timing {
  name: string;
  variant: string;
  milliseconds: number;
  gflops: number;
}

/** Times the cases of a family in every variant that the device can run. */
async function timeFamily<C>(
  gpu: Gpu,
  { name: family, variants, bench }: Family<C>,
  progress: Progress,
): Promise<(Timing & { c: C })[]> {
  const timings: (Timing & { c: C })[] = [];
  const cases = bench(SMOLLM2);
  for (const b of cases)
    for (const variant of variants.filter((v) => v.can(gpu, b.c))) {
      progress.update(`Timing ${family}`, timings.length, cases.length * variants.length);
      const { milliseconds, gflops } = await timeCase(gpu, variant, b);
      timings.push({ name: b.name, variant: variant.name, milliseconds, gflops, c: b.c });
    }
  return timings;
}

function kernelTable(rows: readonly (Timing & { family: string })[], clock: string): string {
  const head = 'kernel     case                variant            ms   GFLOP/s';
  return [
    `Kernels, by ${clock}`,
    head,
    ...rows.map(
      (r) =>
        `${r.family.padEnd(11)}${r.name.padEnd(20)}${r.variant.padEnd(11)}${cell(r.milliseconds, 3, 10)}${cell(r.gflops, 2, 10)}`,
    ),
  ].join('\n');
}

function stepTable(rows: readonly StepResult[], best: number): string {
  const head = 'step       parameters     ms   tokens/s   GFLOP   GFLOP/s   of best product';
  return [
    head,
    ...rows.map(
      (r) =>
        `${r.method.padEnd(9)}${String(r.parameters).padStart(12)}${cell(r.milliseconds, 0, 7)}${cell(r.tokensPerSecond, 1, 11)}${cell(r.flops / 1e9, 1, 8)}${cell(r.gflops, 2, 10)}${cell((100 * r.gflops) / best, 0, 15)} %`,
    ),
  ].join('\n');
}

function profileTable(r: StepResult): string {
  const total = r.profile!.reduce((a, p) => a + p.milliseconds, 0);
  const rows = r
    .profile!.slice(0, 25)
    .map(
      (p) =>
        `${p.label.padEnd(24)}${String(p.count).padStart(5)}${cell(p.milliseconds, 1, 10)}${cell((100 * p.milliseconds) / total, 1, 7)}${cell(p.flops / p.milliseconds / 1e6, 2, 9)}   ${p.kernel}`,
    );
  return [`${r.method}, by dispatch        count        ms      %  GFLOP/s   kernel`, ...rows].join(
    '\n',
  );
}

function searchTable({ plainMilliseconds, steps }: SearchCosts): string {
  const head =
    'step                            ms   of a plain micro-step   by CPU time   by flops';
  return [
    head,
    `plain micro-step          ${cell(plainMilliseconds, 0, 8)}`,
    ...steps.map(
      (s) =>
        `${s.step.padEnd(26)}${cell(s.milliseconds, 0, 8)}${cell(s.ratio, 2, 24)}${s.cpuRatio === null ? '' : cell(s.cpuRatio, 2, 14)}${cell(s.flopRatio, 2, 11)}`,
    ),
  ].join('\n');
}

/** Milliseconds of CPU time that this process has used. */
function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

export const bench = command({
  name: 'bench',
  summary: 'time kernels and training steps on this device',
  details: `Matrix products, row reductions and attention in every variant that the device can run; then training steps at SmolLM2-135M's shape (random weights, one row):
plain LoRA of rank 8, and LoRA-MoE with 8 experts of rank 8, top-2, at all sites. Steps are medians, kernels the best of three.`,
  options: {
    layers: whole('number of layers of the model; 30 by default', 1, 1000),
    tokens: whole('length of the row in tokens; 128 by default', 2, 4096),
    repeats: whole('number of timed steps; 3 by default', 1, 1000),
    kernels: shared.kernels,
    profile: flag('time by dispatch too, where the device has timestamp queries'),
    search: flag(
      "only search steps at the demo model's shape, beside plain micro-steps; --repeats rounds, 7 by default",
    ),
    json: flag('one JSON line instead of tables'),
  },
  run: async (o, { io, progress }) => {
    const gpu = await io.openGpu();
    progress.note(`WebGPU: ${gpu.name}`);
    const variants = await kernelsOf(gpu, o.kernels);
    if (o.search) {
      const costs = await timeSearch(
        randomModel(gpu, DEMO_SHAPE, variants),
        o.repeats ?? 7,
        cpuTime,
      );
      if (o.json)
        io.out(`${JSON.stringify({ device: gpu.name, kernels: variants.names, ...costs })}\n`);
      else io.out(`${gpu.name}\n\n${searchTable(costs)}\n`);
      return 0;
    }
    const clock = clockOf(gpu).name;
    const timed = await timeFamily(gpu, products, progress);
    const others: (Timing & { family: string })[] = [];
    for (const family of families.filter((f) => f.name !== products.name))
      for (const { c: _, ...t } of await timeFamily(gpu, family, progress))
        others.push({ family: family.name, ...t });
    const model = randomModel(
      gpu,
      { ...SMOLLM2_135M, layers: o.layers ?? SMOLLM2_135M.layers },
      variants,
    );
    const steps: StepResult[] = [];
    for (const method of [...methodNames].reverse()) {
      progress.update('Steps', steps.length, 2);
      steps.push(await timeSteps(model, method, o.tokens ?? 128, o.repeats ?? 3, o.profile));
    }
    const bestProduct = Math.max(...timed.map((p) => p.gflops));
    const ratio = steps[1].milliseconds / steps[0].milliseconds;
    if (o.json) {
      const sized = timed.map(({ c: { m, n, k }, ...t }) => ({ ...t, m, n, k }));
      const kernels = variants.names;
      io.out(
        `${JSON.stringify({ device: gpu.name, kernels, clock, products: sized, others, steps, bestProduct, ratio })}\n`,
      );
    } else {
      const all = [...timed.map((t) => ({ ...t, family: products.name })), ...others];
      const profiles = steps.filter((s) => s.profile).map(profileTable);
      io.out(
        `${[gpu.name, kernelTable(all, clock), stepTable(steps, bestProduct), `LoRA-MoE step / LoRA step: ${ratio.toFixed(2)}`, ...profiles].join('\n\n')}\n`,
      );
    }
    return 0;
  },
});
