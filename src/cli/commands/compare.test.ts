// The compare command without a GPU: everything wrong with its input is said before one is opened.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { cli, goldenPath, NO_GPU } from '../../testing/cli.ts';

const dir = mkdtempSync(join(tmpdir(), 'compare-test-'));
afterAll(() => rmSync(dir, { recursive: true }));
const model = goldenPath('train-moe');
const data = join(model, 'data.jsonl');
const good = {
  run: { data: { validation: 0.2 }, train: { steps: 2, batch: 2, microBatch: 2 } },
  methods: { uniform: {} },
  seeds: [1],
  learningRates: [1e-2],
  baseline: 'uniform',
};
const compare = (plan: unknown, out = join(dir, 'out')) => {
  const path = join(dir, 'plan.json');
  writeFileSync(path, typeof plan === 'string' ? plan : JSON.stringify(plan));
  return cli(
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
  );
};

test.each<[string, () => ReturnType<typeof cli>, RegExp]>([
  ['not JSON', () => compare('{'), /plan\.json: not valid JSON/],
  [
    'an unknown key',
    () => compare({ ...good, methods: { uniform: { trian: {} } } }),
    /method "uniform": unknown key "trian"/,
  ],
  ['a file as --out', () => compare(good, data), /this is a file, not a folder/],
  [
    'allocation files that are not there',
    () =>
      compare({
        ...good,
        methods: { uniform: {}, odd: { allocation: { experts: 'e.json', ranks: 'r.json' } } },
      }),
    /e\.json: no such file/,
  ],
  [
    'a number of parameters out of reach',
    () => compare({ ...good, run: { ...good.run, adapter: { parameters: 10 } } }),
    /adapter\.parameters is 10/,
  ],
  [
    'a batch that the rows do not fill',
    () => compare({ ...good, run: { train: { steps: 2, batch: 16 } } }),
    /fewer than train\.batch 16/,
  ],
  ['nothing wrong', () => compare(good), new RegExp(NO_GPU)],
])('%s', async (_, run, message) => {
  const { code, out, err } = await run();
  expect([code, out], err).toEqual([2, '']);
  expect(err).toMatch(message);
});
