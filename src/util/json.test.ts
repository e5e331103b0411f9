// JSON and text from files: what is refused, and in which words.
import { describe, expect, test } from 'vitest';
import { decodeText, parseJson, parseJsonObject } from './json.ts';

const bytes = (...parts: (string | number)[]) =>
  Uint8Array.from(
    parts.flatMap((p) => (typeof p === 'number' ? [p] : [...new TextEncoder().encode(p)])),
  );

describe('text and JSON', () => {
  test('UTF-8 with or without a byte-order mark', () => {
    expect(decodeText(bytes('\ufeffça'), 'f', 'bad-data')).toBe('ça');
    expect(decodeText(bytes(), 'f', 'bad-data')).toBe('');
  });
  test('binary, and the line of a mistake', () => {
    expect(() => decodeText(bytes('a', 0), 'f', 'bad-data')).toThrow('f: this is a binary file');
    expect(() => decodeText(bytes('a\nb\n', 0xe9, '\nc'), 'f', 'bad-data')).toThrow(
      'f: this is not UTF-8 text (first error in line 3)',
    );
    expect(() => decodeText(bytes(0xc3), 'f', 'bad-data')).toThrow('line 1');
  });
  test('JSON that is none, or no object', () => {
    expect(parseJson('[1]', 'f', 'bad-data')).toEqual([1]);
    expect(() => parseJson(' \n', 'f', 'bad-data')).toThrow('f: the file is empty');
    expect(() => parseJsonObject(bytes('{"a":'), 'f', 'bad-data')).toThrow('f: not valid JSON');
    expect(() => parseJsonObject(bytes('[]'), 'f', 'bad-data')).toThrow(
      'f: expected a JSON object, found an array',
    );
    expect(() => parseJsonObject(bytes('null'), 'f', 'bad-data')).toThrow('found null');
  });
});
