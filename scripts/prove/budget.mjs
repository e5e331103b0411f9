// Memory planned and measured: model shapes × sequence length × recomputation, one row of an
// 8-expert LoRA-MoE; measured within 5 % of planned.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cliEnvironment, ensureCli } from '../cli.mjs';
import { root, say } from '../setup.mjs';

export const about =
  'GPU memory planned and measured at the shapes of SmolLM2-135M and Qwen2.5-0.5B [--models A,B] [--lengths 128,512] [--planned] [--measure-up-to MIB]';

const SHAPES = ['smollm2-135m', 'qwen2.5-0.5b'];
const LENGTHS = [128, 256, 512, 1024, 2048];
const POLICIES = ['none', 'mlp', 'block'];
const LIMIT = 0.05;

const option = (options, name, otherwise) => {
  const at = options.indexOf(`--${name}`);
  return at < 0 ? otherwise : options[at + 1];
};
const mebibytes = (bytes) => Math.round(bytes / 2 ** 20);

/** One bill, measured where `measure` says so. */
function bill(config, model, length, recompute, measure) {
  const argv = [
    'budget',
    '--model',
    model,
    '--config',
    config,
    '--length',
    String(length),
    '--recompute',
    recompute,
    '--json',
  ];
  const { status, stdout } = spawnSync(
    process.execPath,
    [join(root, 'scripts/cli.mjs'), ...argv, ...(measure ? ['--measure'] : [])],
    {
      encoding: 'utf8',
      env: cliEnvironment(),
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  if (status !== 0) throw new Error(`budget ended with exit code ${status}`);
  return JSON.parse(stdout.trim().split('\n').at(-1)).stages[0].columns[0];
}

export default async function budget(options) {
  await ensureCli();
  const models = option(options, 'models', SHAPES.join()).split(',');
  const lengths = option(options, 'lengths', LENGTHS.join()).split(',').map(Number);
  const measured = options.includes('--planned')
    ? 0
    : Number(option(options, 'measure-up-to', '6144')) * 2 ** 20;
  const folder = mkdtempSync(join(tmpdir(), 'budget-'));
  const config = join(folder, 'run.json');
  writeFileSync(config, JSON.stringify({ train: { batch: 1, microBatch: 1 } }));
  const rows = [];
  try {
    for (const model of models) {
      for (const length of lengths) {
        for (const recompute of POLICIES) {
          const planned = bill(config, model, length, recompute, false).bill;
          const made =
            planned.total <= measured
              ? bill(config, model, length, recompute, true).measured
              : undefined;
          const { bytes, total } = planned;
          const difference = made === undefined ? null : made / total - 1;
          rows.push({ model, length, recompute, bytes, total, measured: made ?? null, difference });
          say(
            `${model.padEnd(14)}${String(length).padStart(5)} ${recompute.padEnd(6)} planned ${mebibytes(total)} MiB` +
              (made === undefined
                ? ''
                : `, measured ${mebibytes(made)} MiB (${(100 * difference).toFixed(2)} %)`),
          );
        }
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  const compared = rows.filter((r) => r.difference !== null);
  return {
    rows,
    limit: LIMIT,
    largestDifference: compared.reduce((most, r) => Math.max(most, Math.abs(r.difference)), 0),
    passed:
      (measured === 0 || compared.length > 0) &&
      compared.every((r) => Math.abs(r.difference) <= LIMIT),
  };
}
