// A comparison from the command line on a nano model: searches included, stopped and gone on with,
// the table that comes out.
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureCli } from '../scripts/cli.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const model = join(root, 'src/testing/golden/train-moe');
const data = join(model, 'data.jsonl');
const dir = mkdtempSync(join(tmpdir(), 'compare-e2e-'));
const out = join(dir, 'out');
beforeAll(ensureCli);
afterAll(() => rmSync(dir, { recursive: true }));

const search = {
  steps: 4,
  batch: 2,
  microBatch: 2,
  learningRate: 0.01,
  upperLearningRate: 0.1,
  closable: true,
  budget: 0.5,
};
const plan = {
  run: {
    data: { maxLength: 24, validation: 0.25 },
    adapter: { experts: 4, rank: 4, dropout: 0, parameters: 9000 },
    train: { steps: 3, batch: 2, microBatch: 2 },
  },
  methods: {
    uniform: {},
    'plain LoRA': { adapter: { method: 'lora' } },
    found: { search },
    'found, shuffled': { shuffled: 'found' },
  },
  seeds: [1, 2],
  learningRates: [1e-3, 1e-2],
  tuneSeeds: [9],
  baseline: 'uniform',
};
const path = join(dir, 'plan.json');

/** Runs the comparison; `stop` sends Ctrl-C once stderr matches. */
function compare(stop?: RegExp) {
  const argv = [
    'compare',
    '--model',
    model,
    '--data',
    data,
    '--held-out',
    data,
    '--plan',
    path,
    '--out',
    out,
    '--json',
  ];
  return new Promise<{ code: number | null; out: string; err: string }>((resolve, reject) => {
    const child = spawn(process.execPath, [join(root, 'scripts/cli.mjs'), ...argv], { cwd: root });
    const got = { out: '', err: '' };
    let sent = false;
    child.stdout.on('data', (d) => {
      got.out += d;
    });
    child.stderr.on('data', (d) => {
      got.err += d;
      if (!stop || sent || !stop.test(got.err)) return;
      sent = true;
      child.kill('SIGINT');
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, ...got }));
  });
}
const results = () => readFileSync(join(out, 'results.jsonl'), 'utf8');
const lines = () =>
  results()
    .trim()
    .split('\n')
    .map((l) => JSON.parse(l));

test('compare: stopped, cut off, gone on with; every run once; the table by methods', async () => {
  writeFileSync(path, JSON.stringify(plan));
  const first = await compare(/plain LoRA, tuning seed 9/);
  expect([first.code, first.out], first.err).toEqual([130, '']);
  const before = results();
  expect(lines().length).toBeGreaterThanOrEqual(4);
  expect(lines().length).toBeLessThan(16);
  appendFileSync(join(out, 'results.jsonl'), before.slice(0, 50));

  const second = await compare();
  expect(second.code, second.err).toBe(0);
  expect(second.err).toMatch(/was cut off; it is removed/);
  expect(results().startsWith(before)).toBe(true);
  // Of each method: one tuning run a learning rate, then one run a seed.
  const runs = lines();
  expect(runs.map((r) => `${r.stage} ${r.method} ${r.seed}`)).toEqual(
    Object.keys(plan.methods).flatMap((m) => [
      `tune ${m} 9`,
      `tune ${m} 9`,
      `final ${m} 1`,
      `final ${m} 2`,
    ]),
  );
  for (const r of runs) {
    expect(r.validationLoss).toBeGreaterThan(0);
    if (r.stage === 'tune') expect([r.loss, r.exactMatch]).toEqual([null, null]);
    else expect(r.loss).toBeGreaterThan(0);
    expect(Math.abs(r.parameters - 9000)).toBeLessThan(0.1 * 9000);
  }
  const rate = (m: string) => {
    const tuned = runs.filter((r) => r.method === m && r.stage === 'tune');
    return tuned.sort((a, b) => a.validationLoss - b.validationLoss)[0].learningRate;
  };
  const table = JSON.parse(second.out);
  expect(table.methods.map((m: { name: string }) => m.name)).toEqual(Object.keys(plan.methods));
  for (const m of table.methods) {
    expect([m.n, m.learningRate]).toEqual([2, rate(m.name)]);
    const finals = runs.filter((r) => r.method === m.name && r.stage === 'final');
    expect(finals.every((r) => r.learningRate === m.learningRate)).toBe(true);
    expect(m.loss.mean).toBeCloseTo((finals[0].loss + finals[1].loss) / 2, 12);
    if (m.name === 'uniform') expect(m.difference).toBeNull();
    else expect(m.difference.loss.mean).toBeCloseTo(m.loss.mean - table.methods[0].loss.mean, 12);
  }

  // One search a seed, also for the shuffled twin, which has the same number of parameters.
  const kept = readdirSync(join(out, 'allocations')).sort();
  expect(kept).toEqual(
    ['1', '2', '9'].flatMap((s) =>
      ['expert', 'rank', 'search'].map((what) => `found-${s}-${what}.json`),
    ),
  );
  expect(table.found).toMatchObject([{ name: 'found', n: 2 }]);
  for (const seed of [1, 2]) {
    const [a, b] = runs.filter(
      (r) => r.seed === seed && r.stage === 'final' && r.method.startsWith('found'),
    );
    expect(a.parameters).toBe(b.parameters);
  }
  const text = readFileSync(join(out, 'table.md'), 'utf8');
  expect(text).toMatch(/\| found, shuffled \| +2 \|/);
  expect(text).toContain(`npm run cli -- compare --model ${model}`);

  // Nothing is done a third time.
  const times = () => kept.map((name) => statSync(join(out, 'allocations', name)).mtimeMs);
  const [whole, stamps] = [results(), times()];
  const third = await compare();
  expect([third.code, third.out]).toEqual([0, second.out]);
  expect([results(), times()]).toEqual([whole, stamps]);
  expect(third.err).toMatch(/All runs are finished already/);
});
