// What methods say of themselves: counts, keys, settings, and that both halves of each are there.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { siteDims, uniformAllocation } from '../../allocation/allocation.ts';
import { parseAdapterConfig } from '../../files/adapter-files.ts';
import { layoutAdapter } from '../layout.ts';
import { defaultSettings, methodOf, methods, ownersOf, siteSize, takes } from './methods.ts';

const targets = ['q_proj', 'v_proj'] as const;
const dims = siteDims({ hidden: 12, heads: 3, kvHeads: 1, headDim: 4, feedForward: 20 });

test('every method has a folder with its two halves, and the first is the mixture', () => {
  const folders = readdirSync(import.meta.dirname, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
  expect(folders.sort()).toEqual(methods.map((m) => m.name as string).sort());
  for (const name of folders)
    for (const half of ['shape.ts', 'mix.ts'])
      expect(existsSync(join(import.meta.dirname, name, half)), `${name}/${half}`).toBe(true);
  expect(methods[0].name).toBe('lora-moe');
  expect(new Set(methods.map((m) => m.order)).size).toBe(methods.length);
});

test('parameters of a site are those that it stores', () => {
  const site = { inputs: 12, outputs: 4 };
  expect(siteSize('lora', { ...site, ranks: [3] })).toBe(3 * (12 + 4));
  expect(siteSize('lora-moe', { ...site, ranks: [3, 1] })).toBe(4 * (12 + 4) + 2 * 12);
});

describe.each(methods)('$name', (method) => {
  const allocation = uniformAllocation(2, targets, method.sizes === 'experts' ? 3 : 1, 4);
  const spec = { ...defaultSettings(), method: method.name, targets, rank: 4, alpha: 16 };
  const layout = layoutAdapter({ ...spec, dropout: 0, allocation }, 2, dims);

  test('banks hold exactly the tensors of a file, each row once', () => {
    const rows = new Map<string, number>();
    for (const t of layout.tensors) rows.set(t.bank.name, (rows.get(t.bank.name) ?? 0) + t.rows);
    for (const bank of layout.store.banks.values()) expect(rows.get(bank.name)).toBe(bank.shape[0]);
    const names = layout.tensors.map((t) => t.name);
    expect(new Set(names).size).toBe(names.length);
    const size = layout.tensors.reduce((sum, t) => sum + t.shape[0] * t.shape[1], 0);
    const own = [...layout.groups.values()].flatMap((g) => g.sites);
    expect(size).toBe(own.reduce((sum, s) => sum + siteSize(method.name, s), 0));
  });

  test('its own settings belong to it, and to others that have them', () => {
    for (const key of Object.keys(method.settings)) {
      expect(takes(method.name, key)).toBe(true);
      expect(ownersOf(key)).toContain(method.name);
      for (const other of methods)
        expect(takes(other.name, key), other.name).toBe(key in other.settings);
    }
    expect(ownersOf('rank')).toBeNull();
    expect(takes(method.name, 'parameters')).toBe(true);
  });
});

test('a file of an unknown method, or with a setting that is none, is refused by name', () => {
  const file = {
    peft_type: 'GUILOMO',
    lora_alpha: 16,
    r_max: 4,
    target_modules: ['q_proj'],
    top_k: 2,
    scale: 'constant',
    experts: { 'model.layers.0.self_attn.q_proj': 1 },
    ranks: { 'model.layers.0.self_attn.q_proj.experts.0': 4 },
  };
  const read = (changes: object) => parseAdapterConfig({ ...file, ...changes }, 1, 'a.json');
  expect(read({}).method).toBe('lora-moe');
  expect(read({ method: 'lora-moe', top_k: 1 })).toMatchObject({ topK: 1 });
  expect(() => read({ method: 'odd' })).toThrow(/"method" is "odd"; supported are lora-moe/);
  expect(() => read({ top_k: 0 })).toThrow(/a\.json: "top_k" is 0: /);
  expect(() => read({ scale: 'odd' })).toThrow(/a\.json: "scale" is "odd": /);
  expect(() => read({ top_k: undefined })).toThrow(/"top_k" is undefined: /);
  expect(methodOf('lora').file.type).toBe('LORA');
});
