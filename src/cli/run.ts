// Picks the command, and turns failures into messages and exit codes: 2 for bad input, 1 for a
// defect.
import { InputError, isInputError } from '../util/error.ts';
import type { Command } from './command.ts';
import { bench } from './commands/bench.ts';
import { budget } from './commands/budget.ts';
import { compare } from './commands/compare.ts';
import { demo } from './commands/demo.ts';
import { evaluate } from './commands/evaluate.ts';
import { generate } from './commands/generate.ts';
import { gradients } from './commands/gradients.ts';
import { kernel } from './commands/kernel.ts';
import { logits } from './commands/logits.ts';
import { program } from './commands/program.ts';
import { train } from './commands/train.ts';
import type { Io } from './io.ts';
import { Progress } from './progress.ts';

const commands: readonly Command[] = [
  train,
  evaluate,
  generate,
  logits,
  gradients,
  demo,
  compare,
  budget,
  bench,
  program,
  kernel,
];

function help(): string {
  const width = Math.max(...commands.map((c) => c.name.length));
  const list = commands.map((c) => `  ${c.name.padEnd(width)}  ${c.summary}`).join('\n');
  return `GuiLoMo Studio on the command line\n\nnpm run cli -- COMMAND [options]\n\n${list}\n\nnpm run cli -- COMMAND --help lists a command's options.
Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 a defect in the program, 2 bad input, 130 stopped by Ctrl-C.\n`;
}

/** An error of the operating system: a full disk, a folder that must not be written to. */
const isSystemError = (e: unknown): e is NodeJS.ErrnoException =>
  e instanceof Error && typeof (e as NodeJS.ErrnoException).syscall === 'string';

/** Runs one command line (without node and script). Never throws. @returns the exit code */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const progress = new Progress(io);
  try {
    const [name, ...rest] = argv;
    const found = commands.find((c) => c.name === name);
    const end = rest.indexOf('--');
    const asked = (end < 0 ? rest : rest.slice(0, end)).includes('--help');
    if (name === '--help' || name === '-h' || name === 'help') {
      io.out(commands.find((c) => c.name === rest[0])?.help() ?? help());
      return 0;
    }
    if (!found) {
      const names = commands.map((c) => c.name).join(', ');
      throw new InputError(
        'bad-option',
        `${name === undefined ? 'No command given' : `"${name}" is not a command`}; commands are ${names}.`,
      );
    }
    if (asked) {
      io.out(found.help());
      return 0;
    }
    return await found.run(rest, { io, progress });
  } catch (e) {
    progress.clear();
    if (isInputError(e) || isSystemError(e)) {
      io.err(`error: ${e.message.replace(/\s*\n\s*/g, ' ')}\n`);
      return 2;
    }
    io.err(`${e instanceof Error ? (e.stack ?? e.message) : String(e)}\n`);
    return 1;
  } finally {
    progress.clear();
  }
}
