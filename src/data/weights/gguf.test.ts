// GGUF headers: what is written reads back; every lie is refused by name; rotary pairs are put in
// order; random damage never crashes or hangs.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ggufConfig } from '../../model/gguf-config.ts';
import { type GgufTensor, type GgufValue, ggufSource, writeGguf } from '../../testing/gguf.ts';
import { damagedFileLimit, memoryInUse } from '../../testing/memory.ts';
import { InputError, isInputError } from '../../util/error.ts';
import { bytesSource, folderOf } from '../source.ts';
import { ggufTokenizer } from '../text/gguf-tokenizer.ts';
import { openGguf } from './gguf.ts';
import { ggufOf, ggufTensors } from './gguf-folder.ts';
import { tensorPieces } from './tensor-pieces.ts';

const f32 = (name: string, shape: number[], values: number[]): GgufTensor => ({
  name,
  shape,
  type: 0,
  bytes: new Uint8Array(Float32Array.from(values).buffer),
});
const metadata: Record<string, GgufValue> = {
  'general.architecture': 'llama',
  'a.flag': true,
  'a.small': { f32: 0.5 },
  'a.list': Int32Array.of(1, -2),
  'a.texts': ['x', '', 'ü'],
};
const good = () =>
  writeGguf(metadata, [f32('one', [2, 3], [1, 2, 3, 4, 5, 6]), f32('two', [1], [7])]);
const open = (bytes: Uint8Array<ArrayBuffer>) => openGguf(bytesSource(bytes, 'm.gguf'));

test('metadata and tensors read back', async () => {
  const file = await open(good());
  expect(Object.fromEntries(file.metadata)).toEqual({ ...metadata, 'a.small': 0.5 });
  const one = file.tensors.get('one')!;
  expect(one.shape).toEqual([2, 3]);
  expect(new Float32Array((await one.source.read(one.start, one.end)).buffer)).toEqual(
    Float32Array.of(1, 2, 3, 4, 5, 6),
  );
  expect(file.tensors.get('two')!.start % 32).toBe(0);
});

describe('a file that lies is refused with its name and the reason', () => {
  const set = (at: number, ...bytes: number[]) => {
    const file = good();
    file.set(bytes, at);
    return file;
  };
  const one = (tensor: Partial<GgufTensor>, extra: GgufTensor[] = []) =>
    writeGguf({}, [{ ...f32('t', [32], Array(32).fill(0)), ...tensor }, ...extra]);
  const cases: [string, Uint8Array<ArrayBuffer>, string][] = [
    ['empty', new Uint8Array(0), 'the file ends within the magic number'],
    [
      'another file',
      new TextEncoder().encode('PK\u0003\u0004 and so on'),
      'does not begin with "GGUF"',
    ],
    ['big-endian', set(4, 0, 0, 0, 3), 'big-endian'],
    ['version 1', set(4, 1), 'version 1'],
    ['endless tensors', set(8, 255, 255, 255, 255, 255, 255, 31), 'the number of tensors'],
    ['endless metadata', set(16, 255, 255, 0, 0), 'the number of metadata entries'],
    ['a key beyond the file', set(24, 255, 255), 'has a text of'],
    ['unknown type of a value', set(24 + 8 + 20, 77), 'has the unknown type 77'],
    ['key twice', twice(), 'has "a" twice'],
    ['alignment of 3', writeGguf({ 'general.alignment': 3 }), 'general.alignment is 3'],
    ['unknown type', one({ type: 99 }), 'is type 99'],
    ['a type that cannot be read', one({ type: 10 }), 'tensor "t" is Q2_K; only F32'],
    [
      'rows of part of a block',
      one({ type: 2, shape: [48] }),
      'rows of 48, but Q4_0 comes in blocks of 32',
    ],
    ['five dimensions', one({ shape: [1, 1, 1, 1, 1] }), '5 dimensions'],
    ['beyond the end', one({ shape: [64] }), 'the file is cut off'],
    ['more than there can be', one({ shape: [2 ** 40, 2 ** 40] }), 'the file is cut off'],
    ['overlap', one({ shape: [40] }, [f32('u', [32], Array(32).fill(0))]), '"t" and "u" overlap'],
    ['tensor twice', one({}, [f32('t', [1], [0])]), 'tensor "t" appears twice'],
    ['no name', one({ name: '' }), 'the name of tensor 1 is empty'],
  ];
  function twice() {
    const file = writeGguf({ a: 1, b: 2 });
    file[file.lastIndexOf(98)] = 97;
    return file;
  }
  test.each(cases)('%s', async (_name, bytes, message) => {
    const error = await open(bytes).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).toContain(message);
    expect((error as Error).message).toContain('m.gguf');
  });
  test('cut off anywhere', async () => {
    const file = good();
    const needed = file.length - 28; // the last value's padding may be missing
    for (let n = 0; n < needed; n++)
      await expect(open(file.slice(0, n)), `${n} bytes`).rejects.toBeInstanceOf(InputError);
  });
});

test('rows of q and k come in the order of Hugging Face, in pieces of any rows', async () => {
  const rows = Array.from({ length: 8 }, (_, i) => i); // two heads of 4: pairs 0 2 1 3 of each
  const meta = {
    'general.architecture': 'llama',
    'llama.attention.head_count': 2,
    'llama.embedding_length': 8,
  };
  const file = await openGguf(
    ggufSource(meta, [
      f32('blk.3.attn_q.weight', [8, 1], rows),
      f32('blk.3.attn_v.weight', [8, 1], rows),
    ]),
  );
  const tensors = ggufTensors(file);
  const read = async (name: string, first: number, count: number) => {
    const out: number[] = [];
    for await (const piece of tensorPieces(tensors.get(name)!, first, count))
      out.push(...new Float32Array(piece.buffer));
    return out;
  };
  expect(await read('model.layers.3.self_attn.q_proj.weight', 0, 8)).toEqual([
    0, 2, 1, 3, 4, 6, 5, 7,
  ]);
  expect(await read('model.layers.3.self_attn.q_proj.weight', 4, 4)).toEqual([4, 6, 5, 7]);
  expect(await read('model.layers.3.self_attn.v_proj.weight', 2, 3)).toEqual([2, 3, 4]);
});

test('which file of a folder is the model', async () => {
  const gguf = ggufSource(metadata, [], 'x.gguf');
  expect(
    await ggufOf(folderOf('m', [gguf, bytesSource(new Uint8Array(1), 'model.safetensors')])),
  ).toBeNull();
  expect(await ggufOf(folderOf('m', [bytesSource(new Uint8Array(1), 'config.json')]))).toBeNull();
  await expect(ggufOf(folderOf('m', [gguf, ggufSource({}, [], 'y.GGUF')]))).rejects.toThrow(
    'there are 2 GGUF files',
  );
  await expect(ggufOf(folderOf('m', [ggufSource({ 'split.count': 4 })]))).rejects.toThrow(
    'one of 4 parts',
  );
});

test('10,000 random damages: refused with InputError, or read without reaching outside the file', {
  timeout: 60_000,
}, async () => {
  const model = new Uint8Array(
    readFileSync(join(import.meta.dirname, '../../testing/golden/gguf/llama-q4_0.gguf')),
  );
  const texts = writeGguf({
    'tokenizer.ggml.model': 'llama',
    'tokenizer.ggml.tokens': ['a', 'b', 'ab'],
    'tokenizer.ggml.scores': Float32Array.of(0, 0, 1),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(model, texts),
      fc.array(fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), byte: fc.nat(255) }), {
        minLength: 1,
        maxLength: 4,
      }),
      fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { freq: 4 }),
      async (file, edits, cut) => {
        const bytes = file.slice(0, cut === null ? file.length : Math.floor(cut * file.length));
        const before = memoryInUse();
        // Damage where it tells: in the header.
        for (const { at, byte } of edits)
          if (bytes.length > 0) bytes[Math.floor(at * Math.min(bytes.length - 1, 1800))] = byte;
        try {
          const gguf = await open(bytes);
          for (const t of gguf.tensors.values()) expect(t.end).toBeLessThanOrEqual(bytes.length);
          if (file === texts) ggufTokenizer(gguf);
          else {
            ggufTensors(gguf);
            await ggufConfig(gguf);
          }
        } catch (e) {
          if (!isInputError(e)) throw e;
        }
        expect(memoryInUse() - before).toBeLessThan(damagedFileLimit(file.length));
      },
    ),
    { numRuns: 10_000, seed: 1 },
  );
});
