// The one error class for input that the product cannot take: a message for a person, a stable code
// for programs.

/**
 * What kind of input was refused; the code travels across workers in `name` and decides exit code 2
 * on the command line.
 */
export type InputErrorCode =
  | 'bad-file'
  | 'bad-config'
  | 'bad-model'
  | 'bad-tokenizer'
  | 'bad-data'
  | 'bad-adapter'
  | 'bad-option'
  | 'missing-file'
  | 'hub'
  | 'no-webgpu'
  | 'too-large';

/** Bad input: says what is wrong and where. Never thrown for a defect of our own. */
export class InputError extends Error {
  readonly code: InputErrorCode;
  constructor(code: InputErrorCode, message: string) {
    super(message);
    this.name = `InputError:${code}`;
    this.code = code;
  }
}

/** True for an InputError, also one that crossed a worker boundary and kept only its name. */
export const isInputError = (e: unknown): e is Error =>
  e instanceof Error && e.name.startsWith('InputError:');

/** Throws when `condition` is false: a defect of ours, not of the input. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`Internal error: ${message}`);
}
