// A step on a row of 4,096 tokens at the shape of SmolLM2-135M: its loss is finite, and where the
// device has timestamp queries no submit takes longer than 100 ms.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { cliEnvironment, ensureCli } from '../cli.mjs';
import { lastLine, optionOf, root, say } from '../setup.mjs';

export const about =
  'the longest submit of a step on a row of 4,096 tokens [--layers N, 1 by default] [--tokens N]';

const MOST = 100;

/** @param {string[]} options */
export default async function longRows(options) {
  await ensureCli();
  const layers = optionOf(options, 'layers') ?? '1';
  const tokens = optionOf(options, 'tokens') ?? '4096';
  const argv = ['bench', '--submits', '--layers', layers, '--tokens', tokens, '--json'];
  const { status, stdout } = spawnSync(process.execPath, [join(root, 'scripts/cli.mjs'), ...argv], {
    encoding: 'utf8',
    env: cliEnvironment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) return { passed: false, exitCode: status };
  /** @type {{ loss: number, submits: number, longest: number | null, device: string }} */
  const result = lastLine(stdout);
  const { longest } = result;
  say(
    longest === null
      ? `${result.device} has no timestamp queries`
      : `${result.submits} submits, the longest ${longest.toFixed(1)} ms`,
  );
  // A software renderer, which nothing resets, is only shown.
  const isBounded = longest === null || /swiftshader|llvmpipe/i.test(result.device);
  return {
    ...result,
    limit: MOST,
    passed: Number.isFinite(result.loss) && (isBounded || longest <= MOST),
  };
}
