// Loading a checkpoint holds no copy of it: peak JavaScript memory, sampled at every piece, with
// tensors as large as real ones.
import { expect, test } from 'vitest';
import { readBuffer } from '../gpu/buffers.ts';
import { bytesOf, startOf } from '../graph/tensor.ts';
import { testGpu } from '../testing/gpu.ts';
import { byteAt, largeCheckpoint } from '../testing/large-checkpoint.ts';
import { PeakMemory } from '../testing/memory.ts';
import { loadModel } from './load.ts';

test('a checkpoint of 350 MB: memory stays below the largest tensor + 64 MB, and every tensor arrives', async () => {
  const gpu = await testGpu();
  const { folder, source, places, largest, mostRead } = largeCheckpoint();
  expect(source.size).toBeGreaterThan(3e8);
  const memory = new PeakMemory();
  const model = await loadModel(gpu, folder, { onProgress: () => memory.sample() });
  expect(memory.samples).toBeGreaterThan(source.size / 2 ** 23);
  expect(mostRead()).toBeLessThanOrEqual(4 * 2 ** 20);
  memory.expectWithin(largest, 64e6);
  for (const t of model.weights.all) {
    const size = bytesOf(t);
    for (const offset of [0, size - 64]) {
      const got = new Uint8Array(
        await readBuffer(gpu, model.memory.get(t), startOf(t) + offset, 64),
      );
      expect([...got], `${t.name} at ${offset}`).toEqual(
        Array.from({ length: 64 }, (_, i) => byteAt(places.get(t.name)! + offset + i)),
      );
    }
  }
  model.memory.destroy();
});
