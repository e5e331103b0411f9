// program and kernel: what runs can be printed without a GPU, and unknown names list what there is.
import { expect, test } from 'vitest';
import { cli, goldenPath } from '../../testing/cli.ts';

const model = ['--model', goldenPath('train-moe'), '--config', goldenPath('train-moe/run.json')];

test('program: a line for each program, or the dispatches of one with their operands', async () => {
  const all = await cli('program', ...model);
  expect([all.code, all.err]).toEqual([0, '']);
  const names = all.out.trim().split('\n');
  expect(names.map((line) => line.split(/ {2,}/)[0])).toEqual([
    'micro',
    'update',
    'evaluate',
    'prefill',
    'decode',
  ]);
  expect(names[0]).toMatch(/\d+ dispatches +\d+ kernels +[\d.]+ GFLOP +[\d.]+ MiB in \d+ slots$/);
  const { out } = await cli('program', 'update', ...model, '--kernels', 'cpu');
  expect(out).toMatch(/\n {4}2 {2}adamw, \d+ × 1 × 1 groups, [\d.]+ MFLOP\n.*→ value: /);
  const json = await cli('program', 'micro', ...model, '--layers', '1', '--json');
  const { commands } = JSON.parse(json.out);
  expect(commands[0]).toMatchObject({ kernel: 'embed (f32)', tensors: [{ name: 'ids' }, {}, {}] });
  expect(commands.some((c: { kernel?: string }) => c.kernel?.endsWith('_tile'))).toBe(true);
  const { code, err } = await cli('program', 'macro', ...model);
  expect([code, err]).toEqual([
    2,
    'error: "macro" is not a program of this run; its programs are micro, update, evaluate, prefill, decode.\n',
  ]);
});

test('kernel: the names in every variant, or the WGSL of one with its modules', async () => {
  const { out } = await cli('kernel', ...model);
  for (const name of ['adamw', 'rms_norm (thread)', 'rms_norm (workgroup)'])
    expect(out.split('\n')).toContain(name);
  expect((await cli('kernel', ...model, '--kernels', 'gpu')).out).not.toContain('(thread)');
  const norm = await cli('kernel', 'rms_norm (workgroup)', ...model);
  for (const text of ['// overrides: threads = 64', 'fn main(grid: Grid)', 'fn workgroup_sum('])
    expect(norm.out).toContain(text);
  const { code, err } = await cli('kernel', 'nom', ...model);
  expect(code).toBe(2);
  expect(err).toMatch(
    /^error: "nom" is not a kernel of this run; its kernels are .*rms_norm \(thread\)/,
  );
});
