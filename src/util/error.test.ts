// The code of an error, here and after it came from another worker.
import { expect, test } from 'vitest';
import { codeOf, InputError, isInputError } from './error.ts';

/** An error as comlink transfers it. */
const received = ({ name, message, stack }: Error) =>
  Object.assign(new Error(message), { name, message, stack });

test('an InputError keeps its code on the way to the page, whatever it says', () => {
  const error: unknown = new InputError('too-large', 'x');
  expect(isInputError(error) && error.code).toBe('too-large');
  expect(codeOf(error)).toBe('too-large');
  expect(codeOf(received(new InputError('hub', 'InputError:bad-data')))).toBe('hub');
});

test('other errors have none', () => {
  const named = Object.assign(new Error('x'), { name: 'InputError:new' });
  for (const error of [new Error('InputError:hub'), new TypeError('x'), named, 'x', null])
    expect(codeOf(error)).toBeNull();
});
