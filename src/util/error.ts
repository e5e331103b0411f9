// The one error class for input that the product cannot take: a message for a person, a stable code
// for programs.

const codes = [
  'bad-file',
  'bad-config',
  'bad-model',
  'bad-tokenizer',
  'bad-data',
  'bad-adapter',
  'bad-option',
  'missing-file',
  'hub',
  'no-webgpu',
  'too-large',
] as const;

/** What kind of input was refused. */
export type InputErrorCode = (typeof codes)[number];

/** The kind of a failure that is shown to a person; `internal` is a defect of our own. */
export type FailureCode = InputErrorCode | 'internal';

/** Of an error, comlink carries only name, message and stack to the page: the name has the code. */
const nameOf = (code: InputErrorCode) => `InputError:${code}`;

/**
 * Bad input: says what is wrong and where; exit code 2 on the command line. Never thrown for a
 * defect of our own.
 */
export class InputError extends Error {
  readonly code: InputErrorCode;
  constructor(code: InputErrorCode, message: string) {
    super(message);
    this.name = nameOf(code);
    this.code = code;
  }
}

/** What was refused, as a part of a report. */
export interface Problem {
  code: InputErrorCode;
  message: string;
}

/** An InputError as a part of a report; any other error is thrown again. */
export function problemOf(error: unknown): Problem {
  const code = codeOf(error);
  if (!code) throw error;
  return { code, message: (error as Error).message };
}

/** True for an InputError of this thread; `codeOf` knows those of other workers too. */
export const isInputError = (e: unknown): e is InputError => e instanceof InputError;

/** The code of an InputError, also of one that came from another worker; null for other errors. */
export const codeOf = (e: unknown): InputErrorCode | null =>
  (e instanceof Error && codes.find((code) => e.name === nameOf(code))) || null;

/** Throws when `condition` is false: a defect of ours, not of the input. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`Internal error: ${message}`);
}
