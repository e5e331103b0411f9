// A search from the command line: its history, tensors and gradients against PyTorch's, the whole
// pipeline twice with the same bits, what it refuses.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureCli } from '../scripts/cli.mjs';
import { fileSource } from '../src/cli/files.ts';
import { openSafetensors, readF32 } from '../src/data/weights/safetensors.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const golden = (path: string) => join(root, 'src/testing/golden', path);
const dir = mkdtempSync(join(tmpdir(), 'search-e2e-'));
const at = (name: string) => join(dir, name);
beforeAll(ensureCli);
afterAll(() => rmSync(dir, { recursive: true }));

function cli(...argv: string[]): { code: number | null; err: string } {
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts/cli.mjs'), ...argv], {
    cwd: root,
    encoding: 'utf8',
  });
  return { code: status, err: stderr };
}

function done(...argv: string[]): void {
  const { code, err } = cli(...argv);
  expect(code, err).toBe(0);
}

const tensors = async (path: string) => (await openSafetensors(fileSource(path))).entries;
const norm = (v: Float32Array) => Math.sqrt(v.reduce((a, x) => a + x * x, 0));
const distance = (a: Float32Array, b: Float32Array) => norm(a.map((v, i) => v - b[i])) / norm(b);
const json = (path: string) => JSON.parse(readFileSync(path, 'utf8'));
const lines = (path: string) => {
  const text = readFileSync(path, 'utf8');
  return text
    .trim()
    .split('\n')
    .map((l) => JSON.parse(l));
};
const common = ['--model', golden('train-moe'), '--data', golden('search-common/data.jsonl')];
const initOf = (name: string) =>
  golden(`search-common/init${name === 'search-budget' ? '-closable' : ''}.safetensors`);

test.each(['search-paper-second', 'search-survival-first', 'search-budget'])(
  'train on %s: GSVs, losses and tensors follow PyTorch',
  async (name) => {
    done(
      'train',
      ...common,
      '--config',
      golden(`${name}/run.json`),
      '--init',
      initOf(name),
      '--out',
      at(name),
    );
    const want = json(golden(`${name}/run.golden.json`));
    const history = lines(at(`${name}/gsv.jsonl`));
    expect(history.map((h) => h.step)).toEqual(Array.from({ length: 11 }, (_, i) => i));
    expect(history[0]).not.toHaveProperty('upper_loss');
    const gsv = await tensors(golden(`${name}/gsv.safetensors`));
    expect(Object.keys(history[0].values).sort()).toEqual([...gsv.keys()].sort());
    for (const [key, entry] of gsv) {
      const values = await readF32(entry);
      history.forEach(({ values: found }, step) => {
        const gap = found[key].map((v: number, i: number) =>
          Math.abs(v - values[step * found[key].length + i]),
        );
        expect(Math.max(...gap), `${key} after step ${step}`).toBeLessThan(1e-4);
      });
    }
    want.upper.forEach((u: { upper_loss: number }, i: number) => {
      expect(Math.abs(history[i + 1].upper_loss - u.upper_loss)).toBeLessThan(1e-3);
    });
    const metrics = lines(at(`${name}/metrics.jsonl`));
    expect(metrics.map((m) => [m.stage, m.step])).toEqual(
      want.lower.map((_: unknown, i: number) => ['search', i + 1]),
    );
    metrics.forEach((m, i) => {
      for (const key of ['loss', 'ce', 'lr'])
        expect(Math.abs(m[key] - want.lower[i][key]), `${key} of update ${i + 1}`).toBeLessThan(
          1e-3,
        );
    });
    const state = await tensors(at(`${name}/search/state.safetensors`));
    for (const [key, entry] of await tensors(golden(`${name}/final.safetensors`)))
      expect(distance(await readF32(state.get(key)!), await readF32(entry)), key).toBeLessThan(
        1e-2,
      );
    // The allocation is the argmax of the last line.
    const [experts, ranks] = [
      json(at(`${name}/allocation/expert.json`)),
      json(at(`${name}/allocation/rank.json`)),
    ];
    const last = history[10].values;
    const argmax = (g: number[]) => g.indexOf(Math.max(...g));
    for (const [path, count] of Object.entries<number>(experts)) {
      const index = argmax(last[`base_model.model.${path}.gsv_expert`]);
      expect(count).toBe(name === 'search-budget' ? index : Math.max(2, index + 1));
      for (let i = 0; i < count; i++)
        expect(ranks[`${path}.experts.${i}`]).toBe(
          argmax(last[`base_model.model.${path}.experts.${i}.gsv_rank`]) + 1,
        );
    }
    expect(Object.keys(ranks).length).toBe(
      Object.values<number>(experts).reduce((a, b) => a + b, 0),
    );
    // The state is a start as well.
    const again = ['--init', at(`${name}/search/state.safetensors`), '--out', at(`${name}-again`)];
    done('train', ...common, '--config', golden(`${name}/run.json`), ...again);
    expect(lines(at(`${name}-again/gsv.jsonl`))[0].values).toEqual(last);
  },
);

test('ranks of plain LoRA: found as PyTorch finds them, trained with, and read from rank.json again', async () => {
  const name = 'search-rank-closable-budget-first';
  const init = ['--init', golden('search-common/init-rank-closable.safetensors')];
  const settings = json(golden(`${name}/run.json`));
  const train = { steps: 3, batch: 4, microBatch: 2 };
  writeFileSync(at('ranks.json'), JSON.stringify({ ...settings, train }));
  done('train', ...common, ...init, '--config', at('ranks.json'), '--out', at('ranks'));
  const ranks: Record<string, number> = json(at('ranks/allocation/rank.json'));
  expect(ranks).toEqual(json(golden(`${name}/run.golden.json`)).ranks);
  const closed = Object.keys(ranks).filter((path) => ranks[path] === 0);
  expect(closed.length).toBeGreaterThan(0);
  const config = json(at('ranks/adapter/adapter_config.json'));
  expect(config.target_modules).toEqual(Object.keys(ranks).filter((path) => ranks[path] > 0));
  expect(json(at('ranks/config.json')).ranks).toEqual(ranks);

  // The same ranks from the file: the same adapter, bit by bit.
  const again = { ...settings, search: false, allocation: { ranks: 'ranks/allocation/rank.json' } };
  writeFileSync(at('again.json'), JSON.stringify({ ...again, train }));
  done('train', ...common, '--config', at('again.json'), '--out', at('ranks-again'));
  const weights = (run: string) => readFileSync(at(`${run}/adapter/adapter_model.safetensors`));
  expect(weights('ranks-again').equals(weights('ranks'))).toBe(true);

  // All closed there is nothing to train.
  const none = Object.fromEntries(Object.keys(ranks).map((path) => [path, 0]));
  writeFileSync(at('closed.json'), JSON.stringify(none));
  writeFileSync(
    at('none.json'),
    JSON.stringify({ ...again, allocation: { ranks: 'closed.json' }, train }),
  );
  const refused = cli('train', ...common, '--config', at('none.json'), '--out', at('none'));
  expect(refused.code).toBe(2);
  expect(refused.err).toMatch(/closes every linear/);
});

test.each(['search-paper-second', 'search-survival-second', 'search-budget'])(
  'gradients of %s: G within 1e-4, its correction within 1 %',
  async (name) => {
    const out = at(`${name}.safetensors`);
    done(
      'gradients',
      ...common,
      '--config',
      golden(`${name}/gradients.run.json`),
      '--init',
      initOf(name),
      '--out',
      out,
    );
    const [ours, theirs] = [
      await tensors(out),
      await tensors(golden(`${name}/gradients.safetensors`)),
    ];
    const keys = [...theirs.keys()].filter((k) => k.includes('gsv_'));
    expect([...ours.keys()].filter((k) => k.includes('gsv_')).sort()).toEqual(keys.sort());
    const all = async (file: typeof ours) => {
      const parts = [];
      for (const k of keys) parts.push(...(await readF32(file.get(k)!)));
      return Float32Array.from(parts);
    };
    const [g, want] = [await all(ours), await all(theirs)];
    expect(distance(g, want)).toBeLessThan(1e-4);
    if (!name.endsWith('second')) return;
    const correction = await all(await tensors(golden(`${name}/correction.safetensors`)));
    expect(norm(correction) / norm(want)).toBeGreaterThan(0.005); // leaving it out would show
    const base = want.map((v, i) => v - correction[i]);
    expect(
      distance(
        g.map((v, i) => v - base[i]),
        correction,
      ),
    ).toBeLessThan(0.01);
  },
);

test('search, allocation, training: all files, twice with the same bits; then the same allocation from its files', () => {
  const run = {
    adapter: { targets: ['q_proj', 'v_proj', 'down_proj'], rank: 3, experts: 4 },
    search: {
      sizes: 'sampled',
      closable: true,
      budget: 0.2,
      steps: 6,
      batch: 4,
      microBatch: 2,
      lowerOnlySteps: 2,
      upperLearningRate: 0.5,
      split: 'paired',
    },
    data: { validation: 0.2 },
    train: { steps: 3, batch: 2, microBatch: 2, learningRate: 1e-2 },
  };
  writeFileSync(at('run.json'), JSON.stringify(run));
  const model = ['--model', golden('train-moe'), '--data', golden('train-moe/data.jsonl')];
  for (const name of ['one', 'two'])
    done('train', ...model, '--config', at('run.json'), '--out', at(name));
  const files = [
    'gsv.jsonl',
    'allocation/expert.json',
    'allocation/rank.json',
    'search/state.safetensors',
    'adapter/adapter_model.safetensors',
  ];
  for (const file of files)
    expect(readFileSync(at(`one/${file}`)).equals(readFileSync(at(`two/${file}`))), file).toBe(
      true,
    );
  const stages = lines(at('one/metrics.jsonl')).map((m) => m.stage);
  expect(stages).toEqual([
    'search',
    'search',
    'search',
    'search',
    'train',
    'train',
    'train',
    'train',
  ]);
  const config = json(at('one/config.json'));
  expect(config).toMatchObject({
    allocation: 'search',
    search: { estimator: 'survival', order: 'first-order' },
  });
  expect(config.experts).toEqual(json(at('one/allocation/expert.json')));
  expect(json(at('one/adapter/adapter_config.json')).experts).toEqual(config.experts);
  const history = lines(at('one/gsv.jsonl'));
  expect(history.length).toBe(7);
  expect(history[6].values).not.toEqual(history[0].values);
  const files2 = {
    experts: at('one/allocation/expert.json'),
    ranks: at('one/allocation/rank.json'),
  };
  writeFileSync(at('files.json'), JSON.stringify({ ...run, search: false, allocation: files2 }));
  done('train', ...model, '--config', at('files.json'), '--out', at('three'));
  expect(
    readFileSync(at('three/adapter/adapter_model.safetensors')).equals(
      readFileSync(at('one/adapter/adapter_model.safetensors')),
    ),
  ).toBe(true);
});

test('what a search refuses, by name', () => {
  const config = golden('search-survival-first/run.json');
  const refuse = (pattern: RegExp, ...argv: string[]) => {
    const { code, err } = cli(...argv);
    expect(code, err).toBe(2);
    expect(err).toMatch(pattern);
  };
  refuse(
    /gsv_expert|gsv_rank.*missing|does not belong to/,
    'train',
    ...common,
    '--config',
    config,
    '--init',
    golden('train-moe/adapter/adapter_model.safetensors'),
    '--out',
    at('bad'),
  );
  refuse(
    /give its tensors as --init FILE/,
    'gradients',
    ...common,
    '--config',
    config,
    '--out',
    at('bad.safetensors'),
  );
  refuse(/--adapter DIR is required/, 'gradients', ...common, '--out', at('bad.safetensors'));
});
