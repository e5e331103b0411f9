// Gradients of every adapter tensor, and the loss, against PyTorch in float64; recompute and
// planning change nothing.
import { expect } from 'vitest';
import { bytesSource } from '../data/source.ts';
import { openSafetensors, readF32, type TensorEntry } from '../data/weights/safetensors.ts';
import { storeTensors, tensorFile } from '../files/adapter-files.ts';
import { STATISTICS } from '../ops/loss.ts';
import { type Adapted, test } from '../testing/fixtures.ts';
import { goldenFolder } from '../testing/golden.ts';
import { relativeError } from '../testing/gpu.ts';
import {
  alike,
  type BatchShape,
  type MemoryOptions,
  microBatch,
  type Row,
  tokensIn,
} from './batch.ts';
import { Runtime } from './runtime.ts';

interface Result {
  store: Float32Array<ArrayBuffer>;
  entries: ReadonlyMap<string, TensorEntry>;
  ce: number;
  balance: number;
}

/** Two documents a row, the last alone if odd. */
function packed(rows: readonly Row[]): Row[] {
  const pairs = Array.from({ length: Math.ceil(rows.length / 2) }, (_, i) =>
    rows.slice(2 * i, 2 * i + 2),
  );
  return pairs.map((pair) => ({
    ids: pair.flatMap((r) => Array.from(r.ids)),
    labels: pair.flatMap((r) => Array.from(r.labels)),
    positions: pair.flatMap((r) => Array.from(r.ids, (_, t) => t)),
  }));
}

/** Of train-moe; train-lora has none to balance. */
const BALANCE = 0.01;

async function gradients(
  { model, layout, rows }: Adapted,
  options: {
    memoryOptions?: MemoryOptions;
    packed?: boolean;
    /** Rows end to end, as in a training. */
    joined?: boolean;
    share?: boolean;
    dropout?: number;
  } = {},
): Promise<Result> {
  const { gpu } = model;
  const used = options.packed ? packed(rows) : rows;
  const seqLen = options.joined ? tokensIn(used) + 3 : options.packed ? 64 : 32;
  const shape: BatchShape = { rows: options.joined ? 1 : used.length, seqLen, targets: 160 };
  const runtime = await Runtime.create(model, layout, alike(shape), {
    dropout: (options.dropout ?? 0) > 0,
    memoryOptions: options.memoryOptions,
    share: options.share,
  });
  const batch = microBatch(used, shape);
  runtime.micro(batch, {
    inverseTokens: 1 / batch.lossTokens,
    balanceScale: BALANCE,
    number: 1,
    dropout: options.dropout,
  });
  const statistics = await runtime.readStatistics();
  const store = await layout.store.read(gpu, 'grad');
  expect(statistics[STATISTICS.tokens]).toBe(batch.lossTokens);
  const { entries } = await openSafetensors(
    bytesSource(tensorFile(storeTensors(layout, store)), 'gradients'),
  );
  runtime.destroy();
  return {
    store,
    entries,
    ce: statistics[STATISTICS.crossEntropy] / batch.lossTokens,
    balance: statistics[STATISTICS.balance],
  };
}

for (const name of ['train-moe', 'train-lora']) {
  test.for(['gpu', 'cpu', 'register'])(
    `${name}, %s kernels: every gradient equals PyTorch's (1e-4), the loss within 1e-5`,
    async (kernels, { adapted }) => {
      const golden = await openSafetensors((await goldenFolder(name)).open('grads.safetensors')!);
      const scalar = async (key: string) => (await readF32(golden.entries.get(key)!))[0];
      const got = await gradients(await adapted(name, kernels));
      expect(Math.abs(got.ce - (await scalar('ce')))).toBeLessThan(1e-5);
      if (name === 'train-moe')
        expect(Math.abs(got.balance - (await scalar('balance')))).toBeLessThan(1e-4);
      let checked = 0;
      for (const [key, entry] of golden.entries) {
        if (['loss', 'ce', 'balance'].includes(key)) continue;
        const want = await readF32(entry);
        const have = await readF32(got.entries.get(key)!);
        // A router with one expert has gradient exactly 0.
        if (want.every((v) => v === 0))
          expect(Math.max(...have.map(Math.abs)), key).toBeLessThan(1e-7);
        else expect(relativeError(have, want), key).toBeLessThanOrEqual(1e-4);
        checked++;
      }
      expect(checked).toBe(got.entries.size);
    },
  );
}

test.for(['gpu', 'cpu'])(
  '%s kernels: rows end to end have the gradients of rows apart (1e-5), dropout included',
  async (kernels, { adapted }) => {
    for (const name of ['train-moe', 'train-lora']) {
      const [apart, joined] = [
        await gradients(await adapted(name, kernels), { dropout: 0.2 }),
        await gradients(await adapted(name, kernels), { dropout: 0.2, joined: true }),
      ];
      expect(relativeError(joined.store, apart.store)).toBeLessThanOrEqual(1e-5);
      expect(Math.abs(joined.ce - apart.ce)).toBeLessThan(1e-5);
      expect(Math.abs(joined.balance - apart.balance)).toBeLessThan(1e-5);
      const plain = await gradients(await adapted(name, kernels), { joined: true });
      expect(relativeError(joined.store, plain.store)).toBeGreaterThan(1e-2);
    }
  },
);

test('packed rows: the gradients of the same documents are those of PyTorch (1e-4), and of unpacked rows (1e-5)', async ({
  adapted,
}) => {
  const golden = await openSafetensors(
    (await goldenFolder('train-moe')).open('grads.safetensors')!,
  );
  const [alone, together] = [
    await gradients(await adapted('train-moe')),
    await gradients(await adapted('train-moe'), { packed: true }),
  ];
  expect(relativeError(together.store, alone.store)).toBeLessThanOrEqual(1e-5);
  expect(Math.abs(together.ce - alone.ce)).toBeLessThan(1e-5);
  expect(Math.abs(together.balance - alone.balance)).toBeLessThan(1e-5);
  for (const [key, have] of together.entries) {
    const want = await readF32(golden.entries.get(key)!);
    if (want.some((v) => v !== 0))
      expect(relativeError(await readF32(have), want), key).toBeLessThanOrEqual(1e-4);
  }
});

test('recomputing the MLPs or whole blocks, with dropout on, gives the same bits; so do fewer logits at a time, and a buffer for each activation', async ({
  adapted,
}) => {
  const plain = await gradients(await adapted('train-moe'), { dropout: 0.1 });
  const policies = [
    { recompute: 'mlp', logitsChunkRows: 128 },
    { recompute: 'block', logitsChunkRows: 8 },
  ] as const;
  for (const options of [
    ...policies.map((memoryOptions) => ({ memoryOptions })),
    { share: false },
  ]) {
    const other = await gradients(await adapted('train-moe'), { dropout: 0.1, ...options });
    expect(other.store).toEqual(plain.store);
    expect(other.ce).toBe(plain.ce);
    expect(other.balance).toBe(plain.balance);
  }
  const without = await gradients(await adapted('train-moe'));
  expect(without.store).not.toEqual(plain.store);
});
