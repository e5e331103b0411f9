// An error as the page receives it, wherever it was thrown.
import { codeOf, type FailureCode } from '../../util/error.ts';

/** Something went wrong: a code for programs, a message for people. */
export interface Failure {
  type: 'failure';
  code: FailureCode;
  message: string;
}

/** An error as an event. */
export const failureOf = (error: unknown): Failure => ({
  type: 'failure',
  code: codeOf(error) ?? 'internal',
  message: error instanceof Error ? error.message : String(error),
});
