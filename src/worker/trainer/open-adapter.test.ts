// Opening adapters again: the exported zip, a plain folder, and files that do not fit.

import { unzipSync, zipSync } from 'fflate';
import { expect, test } from 'vitest';
import { layoutAdapter } from '../../adapters/layout.ts';
import { siteDims, uniformAllocation } from '../../allocation/allocation.ts';
import { imagined } from '../../gpu/variants.ts';
import { parseModelConfig } from '../../model/config.ts';
import { parseRunConfig } from '../../settings/run-config.ts';
import { openAdapter } from './open-adapter.ts';
import { packageAdapter } from './package-adapter.ts';

const modelOf = (layers: number, hidden = 16) => ({
  name: `model of ${layers}`,
  config: parseModelConfig(
    {
      architectures: ['LlamaForCausalLM'],
      hidden_size: hidden,
      intermediate_size: 24,
      num_hidden_layers: layers,
      num_attention_heads: 2,
      num_key_value_heads: 1,
      vocab_size: 11,
      rope_theta: 10000,
    },
    'config.json',
  ),
});
const model = modelOf(2);
const config = parseRunConfig(
  { seed: 7, data: { validation: 0.2 }, adapter: { experts: 2, rank: 3 } },
  'test',
);
const layout = layoutAdapter(
  { ...config.adapter, allocation: uniformAllocation(2, config.adapter.targets, 2, 3) },
  2,
  siteDims(model.config),
);
const values = Float32Array.from({ length: layout.store.size }, (_, i) => Math.sin(i));
const { zip } = await packageAdapter({
  model: { ...model, variants: imagined() },
  layout,
  values,
  config,
  metrics: [],
  step: 3,
  allocation: null,
  history: null,
});
const asFile = (bytes: Uint8Array, name: string) =>
  new File([bytes as Uint8Array<ArrayBuffer>], name);
const unpacked = unzipSync(zip);
const adapterFile = (name: string) => asFile(unpacked[`adapter/${name}`], name);

test('the exported zip opens with its values, the settings of its run and the base model that it names', async () => {
  const opened = await openAdapter([asFile(zip, 'mine.zip')], model);
  expect(opened.report).toMatchObject({
    name: 'mine.zip',
    method: 'lora-moe',
    base: 'model of 2',
    validation: 0.2,
  });
  expect(opened.settings.seed).toBe(7);
  expect(opened.layout.spec.allocation).toEqual(layout.spec.allocation);
  for (const { offset, shape } of layout.store.banks.values()) {
    const part = (all: Float32Array) => [...all.subarray(offset, offset + shape[0] * shape[1])];
    expect(part(opened.values)).toEqual(part(values));
  }
});

test('the two files of an adapter folder open without settings of a run', async () => {
  const opened = await openAdapter(
    [adapterFile('adapter_config.json'), adapterFile('adapter_model.safetensors')],
    model,
  );
  expect(opened.settings.seed).toBe(1);
});

test.each([
  [
    'fewer layers',
    modelOf(1),
    /not an adapted linear of this model \(1 layers.*made for the base model “model of 2”; the model here is “model of 1”/,
  ],
  [
    'another width',
    { ...modelOf(2, 32), name: 'wide' },
    /has shape \[3, 16\], expected \[3, 32\].*base model “model of 2”; the model here is “wide”/,
  ],
])('another base model is named: %s', async (_, other, message) => {
  await expect(openAdapter([asFile(zip, 'mine.zip')], other)).rejects.toThrow(message);
});

test('missing and broken files are named', async () => {
  await expect(openAdapter([adapterFile('adapter_config.json')], model)).rejects.toThrow(
    'there is no adapter_model.safetensors',
  );
  await expect(openAdapter([asFile(zip.subarray(0, 900), 'cut.zip')], model)).rejects.toThrow(
    /cut\.zip: it cannot be unpacked/,
  );
  const empty = zipSync({ 'readme.txt': new Uint8Array(3) });
  await expect(openAdapter([asFile(empty, 'other.zip')], model)).rejects.toThrow(
    'other.zip: there is no adapter_config.json',
  );
});
