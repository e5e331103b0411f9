// kernel: the WGSL that runs, by name, with the modules that are joined to it.
import type { Kernel } from '../../gpu/kernel.ts';
import { families } from '../../ops/families.ts';
import { InputError } from '../../util/error.ts';
import { command } from '../command.ts';
import { argument, flag } from '../options.ts';
import { recordOptions, recordRun } from '../recorded.ts';

export const kernel = command({
  name: 'kernel',
  summary: "print a kernel's WGSL, as it runs",
  details: `Without a NAME, the kernels of a run (see \`program\`) in each variant, or in those of --kernels. No GPU is opened.
Variants by family: ${families.map((f) => `${f.name}=${f.variants.map((v) => v.name).join('|')}`).join(', ')}.`,
  options: {
    kernel: argument('NAME', 'the kernel to print'),
    ...recordOptions,
    json: flag('one line of JSON: its text, bindings, params and constants'),
  },
  run: async (o, { io }) => {
    const found = new Map<string, Kernel>();
    const all = families.flatMap((f) => f.variants.map((v) => `${f.name}=${v.name}`));
    for (const kernels of o.kernels === undefined ? all : [o.kernels])
      for (const rec of (await recordRun({ ...o, kernels }, 1)).values())
        for (const c of rec.commands) if (c.type === 'dispatch') found.set(c.kernel.name, c.kernel);
    const names = [...found.keys()].sort();
    if (o.kernel === undefined) {
      io.out(o.json ? `${JSON.stringify(names)}\n` : `${names.join('\n')}\n`);
      return 0;
    }
    const known = found.get(o.kernel);
    if (!known)
      throw new InputError(
        'bad-option',
        `"${o.kernel}" is not a kernel of this run; its kernels are ${names.join(', ')}.`,
      );
    const constants = Object.entries(known.constants).map(([name, v]) => `${name} = ${v}`);
    const overrides = constants.length > 0 ? `// overrides: ${constants.join(', ')}\n` : '';
    io.out(o.json ? `${JSON.stringify(known)}\n` : `${overrides}${known.code.trim()}\n`);
    return 0;
  },
});
