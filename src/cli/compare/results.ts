// results.jsonl: one line a finished run, so that an interrupted comparison goes on where it was.
import { appendFileSync, existsSync, readFileSync, truncateSync } from 'node:fs';
import { z } from 'zod';
import { InputError } from '../../util/error.ts';

const result = z.strictObject({
  stage: z.enum(['tune', 'final']),
  method: z.string(),
  seed: z.number(),
  learningRate: z.number(),
  hash: z.string().describe('Hash of everything that determines the run: settings, data, model'),
  parameters: z.number(),
  steps: z.number(),
  validationLoss: z.number().nullable(),
  loss: z
    .number()
    .nullable()
    .describe('On held-out rows; null in stage tune, which never uses them'),
  exactMatch: z.number().nullable(),
  seconds: z.strictObject({ prepare: z.number(), train: z.number(), evaluate: z.number() }),
  device: z.string(),
  kernels: z.record(z.string(), z.unknown()),
});

/** One finished run. */
export type Result = z.output<typeof result>;
/** What makes two runs the same. */
export type ResultKey = Pick<Result, 'stage' | 'method' | 'seed' | 'learningRate' | 'hash'>;

const keyOf = ({ stage, method, seed, learningRate, hash }: ResultKey): string =>
  JSON.stringify([stage, method, seed, learningRate, hash]);

/** The results of a comparison, kept in a file. */
export class ResultLog {
  private readonly found = new Map<string, Result>();

  /**
   * Reads the results on disk. A last line that was cut off is removed; one that lacks only its line
   * break gets it.
   * @throws InputError naming file and line where another line is no result
   */
  constructor(
    private readonly path: string,
    note: (text: string) => void,
  ) {
    if (!existsSync(path)) return;
    const text = readFileSync(path, 'utf8');
    const lines = text.split('\n');
    const last = lines.pop()!;
    lines.forEach((line, i) => {
      const read = parse(line);
      if (!read)
        throw new InputError(
          'bad-data',
          `${path} line ${i + 1} is not a result of a comparison: ${line.slice(0, 80)}`,
        );
      this.found.set(keyOf(read), read);
    });
    if (last === '') return;
    const read = parse(last);
    if (read) {
      appendFileSync(path, '\n');
      this.found.set(keyOf(read), read);
      return;
    }
    truncateSync(path, Buffer.byteLength(text) - Buffer.byteLength(last));
    note(`${path} line ${lines.length + 1} was cut off; it is removed, and its run is repeated.`);
  }

  /** The result of a run that was done before. */
  get(key: ResultKey): Result | undefined {
    return this.found.get(keyOf(key));
  }

  /** Adds a line. */
  append(line: Result): void {
    this.found.set(keyOf(line), line);
    appendFileSync(this.path, `${JSON.stringify(line)}\n`);
  }
}

function parse(line: string): Result | null {
  try {
    return result.parse(JSON.parse(line));
  } catch (e) {
    if (e instanceof SyntaxError || e instanceof z.ZodError) return null;
    throw e;
  }
}
