// bench: how fast the kernels, training steps and answers are on this device, as a table and as JSON.

import { type Case, casesOf, endBench, type Row, startBench } from '../../bench/cases.ts';
import { DEMO_SHAPE, type SearchCosts, timeSearch } from '../../bench/search.ts';
import { SMOLLM2_135M } from '../../bench/shapes.ts';
import { longestSubmit, randomModel } from '../../bench/step.ts';
import { InputError } from '../../util/error.ts';
import { command } from '../command.ts';
import { kernelsOf, shared } from '../inputs.ts';
import { flag, texts, whole } from '../options.ts';

const cell = (v: number, digits: number, width: number): string =>
  v.toFixed(digits).padStart(width);

/** A figure that some rows lack. */
const some = (v: number | undefined, digits: number, width: number): string =>
  v === undefined ? ''.padStart(width) : cell(v, digits, width);

const gflopsOf = ({ flops, milliseconds }: Row): number => flops / milliseconds / 1e6;

/** The fastest row of those whose name begins so; 0 without one. */
const best = (rows: readonly Row[], start: string): number =>
  Math.max(0, ...rows.filter((r) => r.name.startsWith(start)).map(gflopsOf));

/** Shares are of the best product and of the multiply-add loop. */
function table(rows: readonly Row[], clock: string): string {
  const [product, peak] = [best(rows, 'product/'), best(rows, 'device/multiply-add')];
  const share = (row: Row, of: number) =>
    of > 0 && row.flops > 0 ? `${cell((100 * gflopsOf(row)) / of, 0, 8)} %` : ''.padStart(10);
  const line = (row: Row) => {
    const { name, variant = '', milliseconds, bytes, dispatches, tokensPerSecond } = row;
    const gbps = bytes && bytes / milliseconds / 1e6;
    return `${name.padEnd(40)}${variant.padEnd(11)}${cell(milliseconds, 3, 11)}${cell(gflopsOf(row), 1, 11)}${share(row, product)}${share(row, peak)}${some(gbps, 1, 9)}${some(dispatches, 0, 12)}${some(tokensPerSecond, 1, 11)}`;
  };
  const head = `${'case'.padEnd(40)}${'variant'.padEnd(11)}         ms    GFLOP/s   product      loop     GB/s  dispatches   tokens/s`;
  return [`By ${clock}; steps by the wall clock.`, head, ...rows.map(line)].join('\n');
}

function profileTable({ name, profile }: Row): string {
  const total = profile!.reduce((a, p) => a + p.milliseconds, 0);
  const rows = profile!
    .slice(0, 25)
    .map(
      (p) =>
        `${p.label.padEnd(24)}${String(p.count).padStart(5)}${cell(p.milliseconds, 1, 10)}${cell((100 * p.milliseconds) / total, 1, 7)}${cell(p.flops / p.milliseconds / 1e6, 2, 9)}   ${p.kernel}`,
    );
  return [name, `${'by launch'.padEnd(24)}count        ms      %  GFLOP/s   kernel`, ...rows].join(
    '\n',
  );
}

/** The cases that --case names, by a part of their names, or those measured by default. */
function chosen(named: readonly string[], tokens: number | undefined, software: boolean): Case[] {
  const all = casesOf(tokens);
  if (named.length === 0)
    return all.filter(({ byDefault }) => (software ? byDefault.software : byDefault.hardware));
  const stranger = named.find((part) => !all.some(({ name }) => name.includes(part)));
  if (stranger !== undefined)
    throw new InputError(
      'bad-option',
      `--case ${stranger}: no case has this in its name; --list shows all.`,
    );
  return all.filter(({ name }) => named.some((part) => name.includes(part)));
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
  summary: 'how fast kernels, training steps and answers are on this device',
  details: `Kernels in every variant that the device can run, training steps (LoRA of rank 8, and LoRA-MoE with 8 experts of rank 8, top-2, at all sites),
prefill and decoding, at SmolLM2-135M's and Qwen2.5-0.5B's shapes with random weights. On a software renderer only the small cases of SmolLM2-135M are measured, unless
--case names others. Steps are medians, kernels the best of three. product and loop are shares of the fastest product and of a loop of multiply-adds.`,
  options: {
    list: flag('list the cases, and measure nothing'),
    case: texts('TEXT', 'only cases with this in their name, such as step/ or decode/qwen'),
    layers: whole('layers of the models; all by default', 1, 1000),
    tokens: whole('tokens of the one row of a step, instead of several sizes', 2, 8192),
    repeats: whole('steps timed; 3 by default', 1, 1000),
    kernels: shared.kernels,
    profile: flag('time by launch too, where the device has timestamp queries'),
    search: flag(
      "search steps at the demo model's shape beside plain micro-steps, instead of the rest; --repeats rounds, 7 by default",
    ),
    submits: flag(
      "the longest submit of a step on one row of --tokens, 4096 by default, at SmolLM2-135M's shape with --layers, instead of the rest",
    ),
    json: flag('one JSON line instead of tables'),
  },
  run: async (o, { io, progress }) => {
    if (o.list) {
      io.out(
        `${casesOf(o.tokens)
          .map(({ name }) => `${name}\n`)
          .join('')}`,
      );
      return 0;
    }
    const gpu = await io.openGpu();
    progress.note(`WebGPU: ${gpu.name}`);
    const variants = await kernelsOf(gpu, o.kernels);
    const about = { device: gpu.name, kernels: variants.names };
    if (o.search) {
      const model = randomModel(gpu, DEMO_SHAPE, variants);
      const costs = await timeSearch(model, o.repeats ?? 7, cpuTime);
      if (o.json) io.out(`${JSON.stringify({ ...about, ...costs })}\n`);
      else io.out(`${gpu.name}\n\n${searchTable(costs)}\n`);
      return 0;
    }
    if (o.submits) {
      const { layers = SMOLLM2_135M.layers, tokens = 4096 } = o;
      const model = randomModel(gpu, { ...SMOLLM2_135M, layers }, variants, 'bf16');
      const found = await longestSubmit(model, tokens);
      const longest = found.longest === null ? 'no timestamps' : `${found.longest.toFixed(1)} ms`;
      if (o.json) io.out(`${JSON.stringify({ ...about, layers, ...found })}\n`);
      else io.out(`${gpu.name}\n\n${found.submits} submits, the longest: ${longest}\n`);
      return 0;
    }
    const { layers, repeats = 3, profile } = o;
    const measuring = startBench(gpu, variants, { layers, repeats, profile });
    const selected = chosen(o.case, o.tokens, gpu.software);
    const rows: Row[] = [];
    try {
      for (const [i, { name, run }] of selected.entries()) {
        progress.update(`Timing ${name}`, i, selected.length);
        rows.push(...(await run(measuring)));
      }
    } finally {
      endBench(measuring);
    }
    const clock = measuring.clock.name;
    if (o.json) {
      const cases = rows.map((row) => ({ ...row, gflops: gflopsOf(row) }));
      const bestProduct = best(rows, 'product/');
      io.out(`${JSON.stringify({ ...about, clock, cases, bestProduct })}\n`);
    } else {
      const profiles = rows.filter((row) => row.profile).map(profileTable);
      io.out(`${[gpu.name, table(rows, clock), ...profiles].join('\n\n')}\n`);
    }
    return 0;
  },
});
