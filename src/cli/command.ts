// What a command of the command line is.
import type { Io } from './io.ts';
import { type Option, optionLines, parseOptions, type Values } from './options.ts';
import type { Progress } from './progress.ts';

/** Everything that a command is given besides its options. */
export interface Context {
  io: Io;
  progress: Progress;
}

/** A command, its options hidden. */
export interface Command {
  name: string;
  /** One line. */
  summary: string;
  help(): string;
  /** @returns the exit code. @throws InputError for bad arguments or bad input */
  run(argv: readonly string[], context: Context): Promise<number>;
}

/**
 * Makes a command from its options and what it does with them; `details` are paragraphs for its
 * help.
 */
export function command<O extends Record<string, Option<unknown>>>(definition: {
  name: string;
  summary: string;
  details?: string;
  options: O;
  run(values: Values<O>, context: Context): Promise<number>;
}): Command {
  const { name, summary, details, options } = definition;
  return {
    name,
    summary,
    help: () =>
      `${name}: ${summary}\n\nnpm run cli -- ${name} [options]\n\n${optionLines(options)}\n${details ? `\n${details.trim()}\n` : ''}`,
    run: async (argv, context) => definition.run(parseOptions(argv, options), context),
  };
}
