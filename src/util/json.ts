// JSON from files, with errors that name the file.
import { InputError, type InputErrorCode } from './error.ts';

/**
 * Decodes UTF-8 text (a byte-order mark is dropped); InputError when the bytes are no text, with
 * the line where a text goes wrong.
 */
export function decodeText(bytes: Uint8Array, where: string, code: InputErrorCode): string {
  if (bytes.includes(0))
    throw new InputError(code, `${where}: this is a binary file, not UTF-8 text.`);
  const decoder = new TextDecoder('utf-8', { fatal: true });
  try {
    return decoder.decode(bytes);
  } catch {
    throw new InputError(
      code,
      `${where}: this is not UTF-8 text (first error in line ${firstBadLine(bytes, decoder)}).`,
    );
  }
}

/** The number of the first line that a fatal decoder refuses. */
export function firstBadLine(bytes: Uint8Array, decoder: TextDecoder): number {
  for (let line = 1, start = 0; ; line++) {
    const end = bytes.indexOf(10, start);
    if (end < 0) return line;
    try {
      decoder.decode(bytes.subarray(start, end));
    } catch {
      return line;
    }
    start = end + 1;
  }
}

/** Parses JSON text; InputError with the place of the mistake. */
export function parseJson(text: string, where: string, code: InputErrorCode): unknown {
  if (text.trim() === '') throw new InputError(code, `${where}: the file is empty.`);
  try {
    return JSON.parse(text);
  } catch (e) {
    throw new InputError(code, `${where}: not valid JSON (${(e as Error).message}).`);
  }
}

/** Parses the bytes of a JSON file that must hold an object. */
export function parseJsonObject(
  bytes: Uint8Array,
  where: string,
  code: InputErrorCode,
): Record<string, unknown> {
  const value = parseJson(decodeText(bytes, where, code), where, code);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InputError(
      code,
      `${where}: expected a JSON object, found ${Array.isArray(value) ? 'an array' : JSON.stringify(value)}.`,
    );
  }
  return value as Record<string, unknown>;
}
