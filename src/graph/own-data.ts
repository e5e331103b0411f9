// What a program has besides shared memory: its tables, and the params of its kernels.
import { packParams } from '../gpu/kernel.ts';
import { type Command, launchesOf, operandsOf } from './recorder.ts';
import type { Tensor } from './tensor.ts';

/**
 * The tables of a program, and its kernels' params in blocks of 256 bytes with the place of each
 * launch's.
 */
export function ownData(commands: readonly Command[]): {
  tables: Set<Tensor>;
  params: Uint8Array<ArrayBuffer>;
  offsets: number[];
} {
  const tables = new Set(
    commands.flatMap((c) => operandsOf(c).filter((t) => t.kind === 'constant')),
  );
  const blocks = new Map<string, number>();
  const chunks: Uint8Array[] = [];
  const offsets = commands.flatMap(launchesOf).map((c) => {
    const bytes = new Uint8Array(packParams(c.kernel, c.params));
    const key = bytes.join();
    let offset = blocks.get(key);
    if (offset === undefined) {
      offset = chunks.length * 256;
      blocks.set(key, offset);
      chunks.push(bytes);
    }
    return offset;
  });
  const params = new Uint8Array(Math.max(1, chunks.length) * 256);
  chunks.forEach((c, i) => params.set(c, i * 256));
  return { tables, params, offsets };
}
