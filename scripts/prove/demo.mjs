// The built-in demo by command line: held-out exact match ≤ 10 % before and ≥ 90 % after, within
// five minutes on 2 cores without a GPU.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { cliEnvironment, ensureCli } from '../cli.mjs';
import { lastLine, root } from '../setup.mjs';

export const about = 'the demo by command line: exact match before and after, and its time';

const limits = { exactMatchBefore: 0.1, exactMatchAfter: 0.9, seconds: 300 };

export default async function demo() {
  await ensureCli(); // building is not part of the time
  const started = Date.now();
  const { status, stdout } = spawnSync(
    process.execPath,
    [join(root, 'scripts/cli.mjs'), 'demo', '--json'],
    { encoding: 'utf8', env: cliEnvironment(), stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const seconds = (Date.now() - started) / 1000;
  if (status !== 0) return { passed: false, exitCode: status };
  const result = lastLine(stdout);
  const passed =
    result.exactMatchBefore <= limits.exactMatchBefore &&
    result.exactMatchAfter >= limits.exactMatchAfter &&
    seconds <= limits.seconds;
  return {
    ...result,
    processSeconds: seconds,
    limits,
    adapter: cliEnvironment().GUILOMO_DAWN,
    passed,
  };
}
