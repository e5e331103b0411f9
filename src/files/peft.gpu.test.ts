// An adapter of PEFT with a rank a site, some sites closed: its logits, and its own files written
// back.
import { expect } from 'vitest';
import { rankBySite, siteDims } from '../allocation/allocation.ts';
import { openSafetensors, readF32, readTensor } from '../data/weights/safetensors.ts';
import { forwardLogits } from '../model/forward.ts';
import { test } from '../testing/fixtures.ts';
import { goldenFolder, goldenJson } from '../testing/golden.ts';
import { adapterConfig, extract, readAdapter } from './adapter-files.ts';

const NAME = 'train-lora-ranks';

test('train-lora-ranks: logits equal PEFT’s (1e-4), and the files are those that PEFT saved', async ({
  load,
  own,
}) => {
  const model = await load('train-lora');
  const folder = await goldenFolder(`${NAME}/adapter`);
  const dims = siteDims(model.config);
  const { layout, values } = await readAdapter(folder, model.config.layers, dims);
  own(layout.store).allocate(model.gpu, values);
  const golden = (await goldenFolder(NAME)).open('golden.safetensors')!;
  const { entries } = await openSafetensors(golden);
  const [rows, seqLen] = entries.get('input_ids')!.shape;
  const flat = new Int32Array((await readTensor(entries.get('input_ids')!)).buffer);
  const ids = Array.from({ length: rows }, (_, r) =>
    Array.from(flat.slice(r * seqLen, (r + 1) * seqLen)),
  );
  const want = await readF32(entries.get('logits')!);
  const got = await forwardLogits(model, layout, ids);
  expect(Math.max(...want.map((w, i) => Math.abs(w - got[i])))).toBeLessThan(1e-4);

  const ranks = await goldenJson<Record<string, number>>(NAME, 'rank.json');
  for (const [path, rank] of Object.entries(ranks))
    expect(rankBySite(layout.spec.allocation)[path] ?? 0, path).toBe(rank);
  const saved = await goldenJson<Record<string, unknown>>(`${NAME}/adapter`, 'adapter_config.json');
  const { target_modules, alpha_pattern, ...written } = adapterConfig(layout, 'train-lora');
  expect(saved).toMatchObject({ ...written, lora_dropout: 0 });
  expect((target_modules as string[]).toSorted()).toEqual(saved.target_modules);
  for (const [path, alpha] of Object.entries(alpha_pattern as Record<string, number>))
    expect((saved.alpha_pattern as Record<string, number>)[path]).toBeCloseTo(alpha, 12);
  const tensors = await openSafetensors(folder.open('adapter_model.safetensors')!);
  expect(layout.tensors.map((t) => t.name).sort()).toEqual([...tensors.entries.keys()].sort());
  for (const t of layout.tensors)
    expect(extract(t, values)).toEqual(await readF32(tensors.entries.get(t.name)!));
});
