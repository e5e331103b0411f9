// Safetensors: what we write reads back; every lie of a header is refused by name; random damage
// never crashes or hangs.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { damagedFileLimit, memoryInUse } from '../../testing/memory.ts';
import { InputError } from '../../util/error.ts';
import { bytesSource, folderOf } from '../source.ts';
import { openCheckpoint } from './checkpoint-folder.ts';
import { openSafetensors, readF32, readTensor, writeSafetensors } from './safetensors.ts';

const open = (bytes: Uint8Array<ArrayBuffer>) =>
  openSafetensors(bytesSource(bytes, 'm.safetensors'));

/** A file with this header text and so many data bytes. */
function raw(header: string | object, dataBytes = 0, claimed?: bigint): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(
    typeof header === 'string' ? header : JSON.stringify(header),
  );
  const out = new Uint8Array(8 + text.length + dataBytes);
  new DataView(out.buffer).setBigUint64(0, claimed ?? BigInt(text.length), true);
  out.set(text, 8);
  return out;
}

const sample = () =>
  writeSafetensors(
    [
      { name: 'b.half', dtype: 'F16', shape: [3], data: Uint16Array.of(0x3c00, 0xc000, 0x7bff) },
      { name: 'a', dtype: 'F32', shape: [2, 2], data: Float32Array.of(1, -2, 0.5, 3e-40) },
      { name: 'brain', dtype: 'BF16', shape: [1], data: Uint16Array.of(0xbf80) },
      { name: 'double', dtype: 'F64', shape: [], data: Float64Array.of(Math.PI) },
      { name: 'none', dtype: 'I32', shape: [0, 4], data: new Int32Array(0) },
    ],
    { format: 'pt' },
  );

describe('round trip', () => {
  test('tensors of every float dtype, a scalar, an empty one, metadata', async () => {
    const { entries, metadata } = await open(sample());
    expect(metadata).toEqual({ format: 'pt' });
    expect([...entries.keys()].sort()).toEqual(['a', 'b.half', 'brain', 'double', 'none']);
    expect([...(await readF32(entries.get('a')!))]).toEqual([
      ...Float32Array.of(1, -2, 0.5, 3e-40),
    ]);
    expect([...(await readF32(entries.get('b.half')!))]).toEqual([1, -2, 65504]);
    expect([...(await readF32(entries.get('brain')!))]).toEqual([-1]);
    expect([...(await readF32(entries.get('double')!))]).toEqual([Math.fround(Math.PI)]);
    expect(entries.get('double')!.shape).toEqual([]);
    expect((await readTensor(entries.get('none')!)).length).toBe(0);
    await expect(readF32(entries.get('none')!)).rejects.toThrow('tensor "none" is I32; only F32');
  });

  test('bytes do not depend on the order given, and data starts at a multiple of 8', () => {
    const a = { name: 'a', dtype: 'F32' as const, shape: [1], data: Float32Array.of(1) };
    const b = { name: 'b', dtype: 'F32' as const, shape: [1], data: Float32Array.of(2) };
    const file = writeSafetensors([a, b]);
    expect(writeSafetensors([b, a])).toEqual(file);
    expect(new DataView(file.buffer).getUint32(0, true) % 8).toBe(0);
    expect(() => writeSafetensors([a, a])).toThrow('written twice');
    expect(() => writeSafetensors([{ ...a, shape: [2] }])).toThrow('needs 8');
  });

  test('values in a view that is not aligned are read right', async () => {
    const file = sample();
    const shifted = new Uint8Array(file.length + 1);
    shifted.set(file, 1);
    const source = {
      name: 's',
      size: file.length,
      read: async (s: number, e: number) => shifted.subarray(1 + s, 1 + e),
    };
    const { entries } = await openSafetensors(source);
    expect((await readF32(entries.get('a')!))[2]).toBe(0.5);
  });
});

describe('a file that lies is refused with its name and the reason', () => {
  const t = (dtype: unknown, shape: unknown, offsets: unknown) => ({
    dtype,
    shape,
    data_offsets: offsets,
  });
  const cases: [string, Uint8Array<ArrayBuffer>, string][] = [
    ['empty', new Uint8Array(0), 'the file is empty'],
    ['shorter than its length field', new Uint8Array(5), 'only 5 bytes'],
    [
      'Git LFS pointer',
      new TextEncoder().encode(
        `version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 3\n`,
      ),
      'Git LFS pointer',
    ],
    ['header beyond the file', raw('{}', 0, 50n), 'claims 50 bytes, but only 2 follow'],
    ['header over 100 MB', raw('{}', 0, 100_000_001n), 'more than the 100000000 allowed'],
    ['header of 2^64−1', raw('{}', 0, 2n ** 64n - 1n), 'more than the 100000000 allowed'],
    ['header of 0 bytes', raw('', 0), 'not valid JSON'],
    ['invalid JSON', raw('{"a":'), 'not valid JSON'],
    ['invalid UTF-8', raw('{}', 0).map((b, i) => (i === 8 ? 0xff : b)), 'not UTF-8'],
    ['header is a list', raw('[]'), 'not a JSON object'],
    ['tensor is a number', raw({ a: 3 }), 'tensor "a" is not described'],
    ['unknown dtype', raw({ a: t('F31', [1], [0, 4]) }, 4), 'unknown dtype "F31"'],
    [
      'dtype from the prototype',
      raw({ a: t('toString', [1], [0, 4]) }, 4),
      'unknown dtype "toString"',
    ],
    ['negative dimension', raw({ a: t('F32', [-1], [0, 4]) }, 4), 'impossible shape [-1]'],
    ['fractional dimension', raw({ a: t('F32', [0.5], [0, 2]) }, 2), 'impossible shape [0.5]'],
    ['overflowing shape', raw({ a: t('F32', [2 ** 40, 2 ** 40], [0, 4]) }, 4), 'needs 4.8'],
    ['no shape', raw({ a: { dtype: 'F32', data_offsets: [0, 4] } }, 4), 'impossible shape'],
    [
      'size unlike shape',
      raw({ a: t('F32', [2], [0, 4]) }, 4),
      'has 4 bytes where shape [2] in F32 needs 8',
    ],
    ['three offsets', raw({ a: t('F32', [1], [0, 4, 8]) }, 4), 'impossible data_offsets'],
    ['backwards', raw({ a: t('F32', [1], [4, 0]) }, 4), 'before it starts'],
    ['beyond the end', raw({ a: t('F32', [2], [0, 8]) }, 4), 'there are only 4'],
    [
      'overlap',
      raw({ a: t('F32', [1], [0, 4]), b: t('F32', [1], [2, 6]) }, 6),
      '"a" and "b" overlap',
    ],
    [
      'hole',
      raw({ a: t('F32', [1], [0, 4]), b: t('F32', [1], [8, 12]) }, 12),
      '4 bytes before tensor "b"',
    ],
    ['rest', raw({ a: t('F32', [1], [0, 4]) }, 9), '5 bytes at the end'],
    [
      'twice',
      raw(
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\\u0061":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        4,
      ),
      'twice',
    ],
    ['metadata is a list', raw({ __metadata__: [] }), '__metadata__'],
    ['metadata holds a number', raw({ __metadata__: { x: 1 } }), '__metadata__ "x"'],
  ];
  test.each(cases)('%s', async (_name, bytes, message) => {
    const error = await open(bytes).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(InputError);
    expect((error as InputError).code).toBe('bad-file');
    expect((error as Error).message).toContain(message);
    expect((error as Error).message).toContain('m.safetensors');
  });

  test('cut off anywhere', async () => {
    const file = sample();
    for (let n = 0; n < file.length; n++)
      await expect(open(file.slice(0, n))).rejects.toBeInstanceOf(InputError);
  });

  test('a file that shrinks while it is open', async () => {
    const file = sample();
    const { entries } = await openSafetensors({
      name: 's',
      size: file.length,
      read: async (s, e) => file.slice(s, Math.min(e, file.length - 20)),
    });
    await expect(readF32(entries.get('brain')!)).rejects.toThrow('changed while being read');
  });
});

test('keys that look like others inside nested strings are not duplicates', async () => {
  const { entries } = await open(
    raw(
      '{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"__metadata__":{"a":"\\"a\\":{","b":"}"}}',
    ),
  );
  expect([...entries.keys()]).toEqual(['a']);
});

test('10,000 random damages: refused with InputError, or read without reaching outside the file', {
  timeout: 60000,
}, async () => {
  const good = sample();
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ at: fc.nat(good.length - 1), byte: fc.nat(255) }), {
        minLength: 1,
        maxLength: 4,
      }),
      fc.option(fc.nat(good.length)),
      async (edits, cut) => {
        const before = memoryInUse();
        const bytes = good.slice(0, cut ?? good.length);
        for (const { at, byte } of edits) if (at < bytes.length) bytes[at] = byte;
        try {
          const { entries } = await open(bytes);
          for (const e of entries.values()) {
            expect(e.end).toBeLessThanOrEqual(bytes.length);
            expect((await readTensor(e)).length).toBe(e.end - e.start);
          }
        } catch (e) {
          expect(e).toBeInstanceOf(InputError);
        }
        expect(memoryInUse() - before).toBeLessThan(damagedFileLimit(good.length));
      },
    ),
    { numRuns: 10_000, seed: 1 },
  );
});

describe('openCheckpoint', () => {
  const shard = (...names: string[]) =>
    writeSafetensors(
      names.map((name) => ({
        name,
        dtype: 'F32' as const,
        shape: [1],
        data: Float32Array.of(names.length),
      })),
    );
  const folder = (files: Record<string, Uint8Array<ArrayBuffer> | object>) =>
    folderOf(
      'model',
      Object.entries(files).map(([name, v]) =>
        bytesSource(
          v instanceof Uint8Array ? v : new TextEncoder().encode(JSON.stringify(v)),
          name,
        ),
      ),
    );
  const index = 'model.safetensors.index.json';

  test('one file, or shards', async () => {
    expect([
      ...(await openCheckpoint(folder({ 'model.safetensors': shard('a', 'b') }))).keys(),
    ]).toEqual(['a', 'b']);
    const sharded = folder({
      [index]: { metadata: {}, weight_map: { a: '1', b: '2', c: '1' } },
      1: shard('a', 'c'),
      2: shard('b'),
    });
    const tensors = await openCheckpoint(sharded);
    expect([...tensors.keys()].sort()).toEqual(['a', 'b', 'c']);
    expect((await readF32(tensors.get('c')!))[0]).toBe(2);
    expect(tensors.get('b')!.source.name).toBe('2');
  });

  const cases: [string, Record<string, Uint8Array<ArrayBuffer> | object>, string][] = [
    ['nothing', {}, 'neither model.safetensors nor'],
    ['other weights', { 'pytorch_model.bin': new Uint8Array(3) }, 'it has pytorch_model.bin'],
    [
      'missing shard',
      { [index]: { weight_map: { a: '1', b: '2' } }, 1: shard('a') },
      '2 is missing',
    ],
    [
      'tensor not in its shard',
      { [index]: { weight_map: { a: '1', b: '1' } }, 1: shard('a') },
      'tensor "b" should be in 1',
    ],
    [
      'tensor not named',
      { [index]: { weight_map: { a: '1' } }, 1: shard('a', 'z') },
      'tensor "z" of 1 is not in "weight_map"',
    ],
    [
      'tensor in two shards',
      { [index]: { weight_map: { a: '1', b: '2' } }, 1: shard('a'), 2: shard('a', 'b') },
      'is in 2 too',
    ],
    ['no weight_map', { [index]: {} }, 'no "weight_map"'],
    ['empty weight_map', { [index]: { weight_map: {} } }, 'names no tensor'],
    ['file name of another type', { [index]: { weight_map: { a: 1 } } }, 'not a name'],
    ['path out of the folder', { [index]: { weight_map: { a: '../x' } } }, '../x is missing'],
    ['broken index', { [index]: new TextEncoder().encode('{') }, 'not valid JSON'],
    ['damaged shard', { [index]: { weight_map: { a: '1' } }, 1: shard('a').slice(0, 30) }, '1: '],
  ];
  test.each(cases)('%s', async (_name, files, message) => {
    const error = await openCheckpoint(folder(files)).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).toContain(message);
  });
});
