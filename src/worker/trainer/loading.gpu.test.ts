// Loading in stages: their order, what is compiled ahead, weights that give no finite numbers,
// cancelling; the model before stays.
import { expect, test, vi } from 'vitest';
import { type ByteSource, bytesSource, type Folder, folderOf, readAll } from '../../data/source.ts';
import { generate } from '../../model/generate.ts';
import { goldenFolder } from '../../testing/golden.ts';
import { testGpu } from '../../testing/gpu.ts';
import { largeCheckpoint } from '../../testing/large-checkpoint.ts';
import { PeakMemory } from '../../testing/memory.ts';
import type { WorkerEvent } from '../protocol/api.ts';
import { EventSender } from '../protocol/events.ts';
import { loadInStages } from './loading.ts';
import { Trainer } from './trainer.ts';

type ProgressEvent = Extract<WorkerEvent, { type: 'progress' }>;

/** Loads a folder; the reported progress, unbatched. */
async function load(
  folder: Folder,
  onProgress: (event: ProgressEvent) => void = () => {},
  loading = new AbortController(),
) {
  const told: ProgressEvent[] = [];
  const send = (event: WorkerEvent) => {
    if (event.type !== 'progress') throw new Error(`unexpected ${event.type}`);
    told.push(event);
    onProgress(event);
  };
  const loaded = await loadInStages(
    await testGpu(),
    async () => folder,
    { send, flush: () => {} },
    loading.signal,
  );
  return { told, ...loaded };
}

/** The tiny model with not-a-numbers in its last norm. */
async function damaged(): Promise<Folder> {
  const folder = await goldenFolder('train-moe');
  const bytes = await readAll(folder.open('model.safetensors')!);
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const { dtype, data_offsets } = JSON.parse(
    new TextDecoder().decode(bytes.subarray(8, 8 + length)),
  )['model.norm.weight'];
  expect(dtype).toBe('F32');
  const [start, end] = data_offsets.map((at: number) => 8 + length + at);
  new Float32Array(bytes.buffer.slice(start, end)).forEach((_, i) =>
    new DataView(bytes.buffer).setFloat32(start + 4 * i, Number.NaN, true),
  );
  return folderOf('damaged', [
    folder.open('config.json')!,
    bytesSource(bytes, 'model.safetensors'),
  ]);
}

const gguf = async () => folderOf('q4', [(await goldenFolder('gguf')).open('qwen2-q4_k.gguf')!]);

test.each([
  ['safetensors', () => goldenFolder('train-moe')],
  ['a GGUF file', gguf],
])(
  '%s without a tokenizer: four stages in order, each from nothing to all; answers of other lengths then compile nothing',
  async (_, folder) => {
    const gpu = await testGpu();
    const { told, model, tokenizer } = await load(await folder());
    expect(tokenizer).toBeNull();
    expect([...new Set(told.map((e) => e.task))]).toEqual([
      'reading',
      'uploading',
      'compiling',
      'warm-up',
    ]);
    for (const task of ['uploading', 'compiling', 'warm-up']) {
      const stage = told.filter((e) => e.task === task);
      expect(stage[0].done).toBe(0);
      expect(stage.at(-1)!.done).toBe(stage[0].total);
      expect(stage.map((e) => e.done)).toEqual(stage.map((e) => e.done).toSorted((a, b) => a - b));
    }
    expect(told.filter((e) => e.task === 'compiling')).toHaveLength(
      1 + told.find((e) => e.task === 'compiling')!.total,
    );
    const compiled = vi.spyOn(gpu.device, 'createComputePipelineAsync');
    for (const tokens of [3, 20, 70])
      await generate(model, null, [Array(tokens).fill(1)], { maxNewTokens: 3, stopIds: [] });
    expect(compiled).not.toHaveBeenCalled();
    compiled.mockRestore();
    model.memory.destroy();
  },
);

test('weights that give numbers that are not finite are refused, and the device has its memory back', async () => {
  const { created } = await testGpu();
  const before = created.held;
  await expect(load(await damaged())).rejects.toMatchObject({
    name: 'InputError:bad-model',
    message: expect.stringMatching(
      /^damaged: a first forward pass gives numbers that are not finite/,
    ),
  });
  expect(created.held).toBe(before);
});

test.each([
  ['reading', 1],
  ['uploading', 2 ** 20],
  ['compiling', 2],
  ['warm-up', 1],
] as const)(
  'cancelled while %s: it ends there, and the device has its memory back',
  async (task, at) => {
    const { created } = await testGpu();
    const before = created.held;
    const loading = new AbortController();
    const told: ProgressEvent[] = [];
    const small = task === 'uploading' ? largeCheckpoint().folder : await goldenFolder('train-moe');
    let readsAfter = 0;
    const watched = folderOf(
      small.name,
      small.files.map((name): ByteSource => {
        const source = small.open(name)!;
        const counted = (start: number, end: number) => {
          if (loading.signal.aborted) readsAfter++;
          return source.read(start, end);
        };
        return { ...source, read: counted };
      }),
    );
    const onProgress = (event: ProgressEvent) => {
      told.push(event);
      if (event.task === task && event.done >= at) loading.abort();
    };
    await expect(load(watched, onProgress, loading)).rejects.toMatchObject({ name: 'AbortError' });
    expect(told.at(-1)!.task).toBe(task);
    if (task === 'uploading') expect(told.at(-1)!.done).toBeLessThan(told.at(-1)!.total / 10);
    expect(readsAfter).toBeLessThanOrEqual(1); // the chunk under way
    expect(created.held).toBe(before);
  },
);

test('a checkpoint of 350 MB through all stages: JavaScript memory below the largest tensor + 64 MB, the device’s below its weights + 16 MiB', async () => {
  const { created } = await testGpu();
  const before = created.held;
  created.peak = before;
  const { folder, source, largest } = largeCheckpoint();
  const memory = new PeakMemory();
  const { model } = await load(folder, () => memory.sample());
  memory.expectWithin(largest, 64e6);
  expect(created.peak - before).toBeLessThan(source.size + 16 * 2 ** 20);
  model.memory.destroy();
});

test('the trainer keeps the model that it has where the next one is refused or cancelled', async () => {
  await testGpu();
  if (!globalThis.navigator?.gpu)
    vi.stubGlobal('navigator', { gpu: await (await import('../../cli/dawn.ts')).dawnProvider() });
  let cancelAt = '';
  const events: WorkerEvent[] = [];
  const trainer = new Trainer(
    new EventSender((batch) => {
      events.push(...batch);
      if (batch.some((e) => e.type === 'progress' && e.task === cancelAt)) trainer.cancelLoading();
    }),
    {} as never,
    'https://example.invalid/',
  );
  const source = async (folder: Folder) => {
    const file = async (name: string) => new File([await readAll(folder.open(name)!)], name);
    return {
      kind: 'files' as const,
      name: folder.name,
      files: await Promise.all(folder.files.map(file)),
    };
  };
  const good = await source(await goldenFolder('train-moe'));
  expect(await trainer.loadModel(good)).toMatchObject({
    name: 'train-moe',
    vocab: 97,
    hasTokenizer: false,
  });
  const adapter = (await source(await goldenFolder('train-moe/adapter'))).files;
  const opened = await trainer.loadAdapter(adapter);

  await expect(trainer.loadModel(await source(await damaged()))).rejects.toThrow(
    /damaged: .* not finite/,
  );
  expect(await trainer.loadAdapter(adapter)).toEqual(opened); // fits the model before alone
  for (cancelAt of ['reading', 'uploading', 'compiling', 'warm-up']) {
    expect(await trainer.loadModel(await source(await goldenFolder('qwen3'))), cancelAt).toBeNull();
    expect(await trainer.loadAdapter(adapter)).toEqual(opened);
  }
  cancelAt = '';
  expect(await trainer.loadModel(await source(await goldenFolder('qwen3')))).toMatchObject({
    name: 'qwen3',
  });
  await expect(trainer.loadAdapter(adapter)).rejects.toThrow();
  expect(events.every((e) => e.type === 'progress')).toBe(true);
  vi.unstubAllGlobals();
});
