// Memory planned and measured: model shapes × sequence length × recomputation, one row of an
// 8-expert LoRA-MoE; measured within 5 % of planned.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cliEnvironment, ensureCli } from '../cli.mjs';
import { lastLine, optionOf, root, say } from '../setup.mjs';

export const about =
  'GPU memory planned and measured at the shapes of SmolLM2-135M and Qwen2.5-0.5B [--models A,B] [--lengths 128,512] [--planned] [--measure-up-to MIB]';

const SHAPES = ['smollm2-135m', 'qwen2.5-0.5b'];
const LENGTHS = [128, 256, 512, 1024, 2048];
const POLICIES = ['none', 'mlp', 'block'];
const LIMIT = 0.05;

const mebibytes = (/** @type {number} */ bytes) => Math.round(bytes / 2 ** 20);

/**
 * One bill, measured where `measure` says so.
 * @param {string} config
 * @param {string} model
 * @param {number} length
 * @param {string} recompute
 * @param {boolean} measure
 * @returns {{ bill: { bytes: Record<string, number>, total: number }, measured?: number }}
 */
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
  return lastLine(stdout).stages[0].columns[0];
}

/** @param {string[]} options */
export default async function budget(options) {
  await ensureCli();
  const models = optionOf(options, 'models')?.split(',') ?? SHAPES;
  const lengths = optionOf(options, 'lengths')?.split(',').map(Number) ?? LENGTHS;
  const measured = options.includes('--planned')
    ? 0
    : Number(optionOf(options, 'measure-up-to') ?? 6144) * 2 ** 20;
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
                : `, measured ${mebibytes(made)} MiB (${(100 * (made / total - 1)).toFixed(2)} %)`),
          );
        }
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  const differences = rows.flatMap(({ difference }) => difference ?? []).map(Math.abs);
  return {
    rows,
    limit: LIMIT,
    largestDifference: Math.max(0, ...differences),
    passed: (measured === 0 || differences.length > 0) && differences.every((d) => d <= LIMIT),
  };
}
