// bench: how fast the kernels, training steps and answers are on this device, as a table and as JSON.

import { casesOf, chooseCases, type Row, runCases, startBench } from '../../bench/cases.ts';
import { DEMO_SHAPE, timeSearch } from '../../bench/search.ts';
import { SMOLLM2_135M } from '../../bench/shapes.ts';
import { longestSubmit, randomModel } from '../../bench/step.ts';
import { measurementsJson, measurementsText, searchText } from '../../bench/table.ts';
import { command } from '../command.ts';
import { kernelsOf, shared } from '../inputs.ts';
import { flag, texts, whole } from '../options.ts';

/** Milliseconds of CPU time that this process has used. */
function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

export const bench = command({
  name: 'bench',
  summary: 'how fast kernels, training steps and answers are on this device',
  details: `Kernels in every variant that the device can run, training steps (LoRA of rank 8, and LoRA-MoE with 8 experts of rank 8, top-2, at all sites),
prefill and decoding, at SmolLM2-135M's and Qwen2.5-0.5B's shapes with random weights, and search steps at the demo model's. On a software renderer only the small cases of SmolLM2-135M are measured, unless
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
      const model = await randomModel(gpu, DEMO_SHAPE, variants);
      const costs = await timeSearch(model, o.repeats ?? 7, { cpu: cpuTime });
      if (o.json) io.out(`${JSON.stringify({ ...about, ...costs })}\n`);
      else io.out(`${gpu.name}\n\n${searchText(costs)}\n`);
      return 0;
    }
    if (o.submits) {
      const { layers = SMOLLM2_135M.layers, tokens = 4096 } = o;
      const model = await randomModel(gpu, { ...SMOLLM2_135M, layers }, variants, 'bf16');
      const found = await longestSubmit(model, tokens);
      const longest = found.longest === null ? 'no timestamps' : `${found.longest.toFixed(1)} ms`;
      if (o.json) io.out(`${JSON.stringify({ ...about, layers, ...found })}\n`);
      else io.out(`${gpu.name}\n\n${found.submits} submits, the longest: ${longest}\n`);
      return 0;
    }
    const { layers, repeats = 3, profile } = o;
    const measuring = startBench(gpu, variants, { layers, repeats, profile });
    const cases = chooseCases(o.case, gpu, o.tokens);
    const rows: Row[] = [];
    await runCases(measuring, cases, rows, (i) =>
      progress.update(`Timing ${cases[i].name}`, i, cases.length),
    );
    const measured = { ...about, clock: measuring.clock.name, rows };
    io.out(o.json ? measurementsJson(measured) : measurementsText(measured));
    return 0;
  },
});
