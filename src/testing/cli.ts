// Runs the command line in this process, without a GPU, and makes damaged model folders for it.
import { cpSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Io } from '../cli/io.ts';
import { run } from '../cli/run.ts';
import { InputError } from '../util/error.ts';

/** Said where a GPU would be opened: all checks before it passed. */
export const NO_GPU = 'this test has no GPU';

/** What a command line did. */
export interface Outcome {
  code: number;
  out: string;
  err: string;
}

/** Runs a command line whose GPU cannot be opened. */
export async function cli(...argv: string[]): Promise<Outcome> {
  const done = { out: '', err: '' };
  const io: Io = {
    out: (text) => {
      done.out += text;
    },
    err: (text) => {
      done.err += text;
    },
    terminal: false,
    openGpu: () => Promise.reject(new InputError('no-webgpu', NO_GPU)),
    onInterrupt: () => () => {},
  };
  return { code: await run(argv, io), ...done };
}

/** The golden fixtures' folder on disk. */
export const goldenPath = (name: string): string =>
  fileURLToPath(new URL(`./golden/${name}`, import.meta.url));

/** A fresh folder for a test file. */
export const scratch = (): string => mkdtempSync(join(tmpdir(), 'cli-test-'));

/**
 * A copy of a golden model in `parent`; `files` are written over it (null: the file is left out).
 */
export function modelCopy(
  parent: string,
  name: string,
  golden: string,
  files: Record<string, string | Uint8Array | null> = {},
): string {
  const folder = join(parent, name);
  mkdirSync(folder);
  for (const file of ['config.json', 'model.safetensors']) {
    if (files[file] === undefined) cpSync(join(goldenPath(golden), file), join(folder, file));
  }
  for (const [file, contents] of Object.entries(files))
    if (contents !== null) writeFileSync(join(folder, file), contents);
  return folder;
}

/** A safetensors file with its header changed as text or as JSON, the data as it was. */
export function withHeader(
  file: Uint8Array,
  change: (header: Record<string, Record<string, unknown>>) => void,
): Uint8Array {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
  change(header);
  const text = new TextEncoder().encode(JSON.stringify(header));
  const out = new Uint8Array(8 + text.length + file.length - 8 - length);
  new DataView(out.buffer).setBigUint64(0, BigInt(text.length), true);
  out.set(text, 8);
  out.set(file.subarray(8 + length), 8 + text.length);
  return out;
}
