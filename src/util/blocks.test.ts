// The block formats' values are those of the gguf package, and their layout on the GPU keeps every
// byte.
import { expect, test } from 'vitest';
import { openSafetensors, readF32, readTensor } from '../data/weights/safetensors.ts';
import { blockTypes, randomBlocks } from '../testing/blocks.ts';
import { goldenFolder } from '../testing/golden.ts';
import { alignBlocks, blockFormats, blockWords, dequantize } from './blocks.ts';

for (const type of blockTypes) {
  test(`${type}: values equal the gguf package's`, async () => {
    const { entries } = await openSafetensors(
      (await goldenFolder('gguf')).open('blocks.safetensors')!,
    );
    const want = await readF32(entries.get(`${type}.values`)!);
    const got = dequantize(type, await readTensor(entries.get(`${type}.bytes`)!));
    expect(got.length).toBe(4 * blockFormats[type].elements);
    // The package rounds to f32 after each operation.
    const largest = Math.max(...want.map(Math.abs));
    got.forEach((v, i) => expect(Math.abs(v - want[i])).toBeLessThanOrEqual(largest * 2 ** -22));
  });

  test(`${type}: aligned blocks hold the same bytes`, () => {
    const { bytes } = randomBlocks(type, 3, 3 * blockFormats[type].elements);
    const aligned = alignBlocks(type, bytes);
    const { gap, bytes: size } = blockFormats[type];
    expect(aligned.length).toBe(3 * blockWords(type) * 4);
    const step = aligned.length / 3;
    const back = [0, 1, 2].flatMap((b) =>
      [...aligned.subarray(b * step, (b + 1) * step)].filter(
        (_, i) => gap === null || i < gap || i >= gap + 2,
      ),
    );
    expect(back).toEqual([...bytes]);
    expect(back.length).toBe(3 * size);
  });
}
