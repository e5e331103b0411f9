// program: what a run replays on the GPU, dispatch by dispatch, recorded without one.
import { plan } from '../../graph/plan.ts';
import { type Command, operandsOf, type Recorder } from '../../graph/recorder.ts';
import type { Tensor } from '../../graph/tensor.ts';
import { InputError } from '../../util/error.ts';
import { command } from '../command.ts';
import { argument, flag, whole } from '../options.ts';
import { recordOptions, recordRun } from '../recorded.ts';

const flopsOf = (c: Command): number => (c.type === 'dispatch' ? c.flops : 0);
const shown = (t: Tensor): string => `${t.name} [${t.shape.join(' × ')}]`;

/** One line for a program. */
function summary(name: string, { commands }: Recorder): string {
  const dispatches = commands.filter((c) => c.type === 'dispatch');
  const kernels = new Set(dispatches.map((d) => d.kernel.name)).size;
  const flops = commands.reduce((sum, c) => sum + flopsOf(c), 0);
  const { slotBytes } = plan(commands);
  const mebibytes = slotBytes.reduce((a, b) => a + b, 0) / 2 ** 20;
  return [
    name.padEnd(24),
    `${dispatches.length} dispatches`.padStart(18),
    `${kernels} kernels`.padStart(12),
    `${(flops / 1e9).toFixed(2)} GFLOP`.padStart(16),
    `${mebibytes.toFixed(1)} MiB in ${slotBytes.length} slots`.padStart(26),
  ].join('');
}

/** A dispatch with its operands; clears and copies alike. */
function line(c: Command, i: number): string {
  const number = String(i).padStart(5);
  if (c.type === 'clear') return `${number}  clear  ${shown(c.tensor)}`;
  if (c.type === 'copy') return `${number}  copy  ${shown(c.from)} → ${shown(c.to)}`;
  const { kernel, workgroups, tensors, flops } = c;
  const operands = kernel.bindings.map(
    ({ name, access }, at) => `${access === 'read' ? '' : '→ '}${name}: ${shown(tensors[at])}`,
  );
  const label = c.label === kernel.name ? '' : `${c.label}: `;
  const work = flops > 0 ? `, ${(flops / 1e6).toFixed(2)} MFLOP` : '';
  return `${number}  ${label}${kernel.name}, ${workgroups.join(' × ')} groups${work}\n         ${operands.join('; ')}`;
}

/** A command as JSON. */
const plain = (c: Command) => ({
  type: c.type,
  ...(c.type === 'dispatch' && {
    label: c.label,
    kernel: c.kernel.name,
    workgroups: c.workgroups,
    params: c.params,
    flops: c.flops,
  }),
  tensors: operandsOf(c).map(({ name, shape, dtype, kind }) => ({ name, shape, dtype, kind })),
});

export const program = command({
  name: 'program',
  summary: 'list what a run replays on the GPU, dispatch by dispatch',
  details: `Without a NAME, one line for each program: dispatches, kernels, work and the memory of activations. No GPU is opened.
A dispatch shows its kernel (see \`kernel\`), its workgroups and its operands; → marks those that it writes.`,
  options: {
    program: argument('NAME', 'the program to list'),
    ...recordOptions,
    layers: whole('layers of the model; all by default', 1, 1000),
    json: flag('one line of JSON per program'),
  },
  run: async (o, { io }) => {
    const programs = await recordRun(o, o.layers);
    const names = [...programs.keys()];
    if (o.program !== undefined && !programs.has(o.program))
      throw new InputError(
        'bad-option',
        `"${o.program}" is not a program of this run; its programs are ${names.join(', ')}.`,
      );
    for (const [name, rec] of programs) {
      if (o.program !== undefined && name !== o.program) continue;
      if (o.json) io.out(`${JSON.stringify({ name, commands: rec.commands.map(plain) })}\n`);
      else {
        io.out(`${summary(name, rec)}\n`);
        if (o.program !== undefined) io.out(`${rec.commands.map(line).join('\n')}\n`);
      }
    }
    return 0;
  },
});
