// The zip of an adapter: what is in it, and that a difference is found.

import { strFromU8, unzipSync } from 'fflate';
import { expect, test, vi } from 'vitest';
import { layoutAdapter } from '../../adapters/layout.ts';
import { siteDims, uniformAllocation } from '../../allocation/allocation.ts';
import * as files from '../../files/adapter-files.ts';
import { imagined } from '../../gpu/variants.ts';
import { parseModelConfig } from '../../model/config.ts';
import { parseRunConfig } from '../../settings/run-config.ts';
import { type Package, packageAdapter } from './package-adapter.ts';

const config = parseModelConfig(
  {
    architectures: ['LlamaForCausalLM'],
    hidden_size: 16,
    intermediate_size: 24,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    vocab_size: 11,
    rope_theta: 10000,
  },
  'config.json',
);

function makePackage(method: 'lora' | 'lora-moe'): Package {
  const run = parseRunConfig(
    {
      adapter: {
        method,
        rank: 3,
        targets: ['q_proj', 'down_proj'],
        ...(method === 'lora' ? {} : { experts: 2 }),
      },
    },
    'test',
  );
  const { targets, experts, rank } = run.adapter;
  const allocation = uniformAllocation(1, targets, method === 'lora' ? 1 : experts, rank);
  const layout = layoutAdapter({ ...run.adapter, allocation }, 1, siteDims(config));
  const values = Float32Array.from({ length: layout.store.size }, (_, i) => Math.sin(i));
  return {
    model: { name: 'some/model', config, variants: imagined({ product: 'tile' }) },
    layout,
    values,
    config: run,
    metrics: [{ step: 1, loss: 2 }],
    step: 1,
    allocation: null,
    history: null,
  };
}

test.each([
  ['lora', 2 * 2],
  ['lora-moe', 2 * (2 * 2 + 1)],
] as const)('%s: adapter, settings and metrics, read back equal', async (method, tensors) => {
  const report = await packageAdapter(makePackage(method));
  expect(report).toMatchObject({ name: `some-model-${method}.zip`, tensors, step: 1 });
  const contents = unzipSync(report.zip);
  expect(Object.keys(contents).sort()).toEqual(report.files.map((f) => f.name).sort());
  expect(JSON.parse(strFromU8(contents['config.json']))).toMatchObject({
    adapter: { method },
    model: 'some/model',
    kernels: { product: 'tile' },
  });
  expect(strFromU8(contents['metrics.jsonl'])).toBe('{"step":1,"loss":2}\n');
  for (const { name, bytes } of report.files) expect(contents[name].length).toBe(bytes);
});

test('after a search the allocation and the history of the GSVs are there too', async () => {
  const made = makePackage('lora-moe');
  const { allocation } = made.layout.spec;
  const contents = unzipSync(
    (await packageAdapter({ ...made, allocation, history: '{"step":0}\n' })).zip,
  );
  expect(JSON.parse(strFromU8(contents['allocation/expert.json']))).toEqual(allocation.experts);
  expect(JSON.parse(strFromU8(contents['allocation/rank.json']))).toEqual(allocation.ranks);
  expect(strFromU8(contents['gsv.jsonl'])).toBe('{"step":0}\n');
});

test('one bit of difference keeps the zip from being offered', async () => {
  const wanted = makePackage('lora');
  const other = Float32Array.from(wanted.values);
  other[0] = Math.fround(other[0] + 1e-7);
  const written = files.adapterFiles(wanted.layout, other, 'x');
  const spy = vi.spyOn(files, 'adapterFiles').mockReturnValue(written);
  await expect(packageAdapter(wanted)).rejects.toThrow(
    /q_proj.*differs from the one on the device/,
  );
  spy.mockRestore();
});
