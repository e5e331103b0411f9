// What a search step costs at the demo model's shape, in plain micro-steps of the same run:
// first-order at most 2.3, second-order 5.3.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { cliEnvironment, ensureCli } from '../cli.mjs';
import { lastLine, root } from '../setup.mjs';

export const about =
  "a search step's cost in plain micro-steps, both estimators and orders [--repeats N]";

/** @type {Record<string, number>} */
const limits = { 'first-order': 2.3, 'second-order': 5.3 };

/** @param {string[]} options */
export default async function searchCost(options) {
  await ensureCli();
  const { status, stdout } = spawnSync(
    process.execPath,
    [join(root, 'scripts/cli.mjs'), 'bench', '--search', '--json', ...options],
    { encoding: 'utf8', env: cliEnvironment(), stdio: ['ignore', 'pipe', 'inherit'] },
  );
  if (status !== 0) return { passed: false, exitCode: status };
  /** @type {{ steps: { step: string, ratio: number }[] }} */
  const result = lastLine(stdout);
  const passed = result.steps.every((s) => s.ratio <= limits[s.step.split(', ')[1]]);
  return { ...result, limits, passed };
}
