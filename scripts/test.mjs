// npm test: everything that proves the product, on a fresh machine. `npm test -- unit kernels-node`
// runs some parts only. The last line on stdout is `N passed, N failed`; the exit code is 1 when
// anything failed or nothing ran.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureInstalled, messageOf, minutes, root, say } from './setup.mjs';

// Parts in their order: a static check is one command and counts as one; a vitest part counts its
// tests.
const bin = (/** @type {string} */ file) => [process.execPath, join(root, 'node_modules', file)];
/** @type {Record<string, { command: () => string[], vitest?: undefined, chromium?: undefined } | { vitest: string, chromium?: boolean }>} */
const parts = {
  types: { command: () => [...bin('typescript/bin/tsc'), '--noEmit'] },
  lint: { command: () => [...bin('@biomejs/biome/bin/biome'), 'check', '--error-on-warnings'] },
  imports: { command: () => [process.execPath, 'scripts/imports.mjs'] },
  budgets: { command: () => [process.execPath, 'scripts/budgets.mjs'] },
  unit: { vitest: 'unit' },
  'kernels-node': { vitest: 'kernels-node' },
  'kernels-chromium': { vitest: 'kernels-chromium', chromium: true },
  e2e: { vitest: 'e2e', chromium: true },
};
/** @type {Record<string, string[]>} */
const groups = {
  check: ['types', 'lint', 'imports', 'budgets'],
  kernels: ['kernels-node', 'kernels-chromium'],
};
const limit = 25 * 60_000; // a part that takes longer hangs

/**
 * Runs a command with its output shown; resolves to its exit code, 124 when it was ended at the
 * limit.
 * @param {string[]} line
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<number>}
 */
function run([command, ...args], env) {
  return new Promise((resolve) => {
    const own = process.platform !== 'win32'; // a group of its own, so that browsers end with it
    const child = spawn(command, args, {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      env,
      detached: own,
    });
    const kill = () => {
      try {
        if (own && child.pid) process.kill(-child.pid, 'SIGKILL');
        else child.kill('SIGKILL');
      } catch {
        child.kill('SIGKILL');
      }
    };
    const timer = setTimeout(() => {
      say(`Stopped after ${minutes(limit)}, the time limit.`);
      kill();
      resolve(124);
    }, limit);
    const stop = () => {
      kill();
      process.exit(130);
    };
    process.once('SIGINT', stop);
    process.once('SIGTERM', stop);
    const end = (/** @type {number} */ code) => {
      clearTimeout(timer);
      process.off('SIGINT', stop);
      process.off('SIGTERM', stop);
      resolve(code);
    };
    child.on('error', (error) => {
      say(error.message);
      end(127);
    });
    child.on('exit', (code) => end(code ?? 128));
  });
}

/**
 * Passed and failed tests of a vitest project. A runner that crashes, a file that can't be loaded
 * and a run of no test are failures.
 * @param {string} project
 * @param {NodeJS.ProcessEnv} env
 * @param {string} folder
 */
async function runVitest(project, env, folder) {
  const report = join(folder, `${project}.json`);
  const options = [
    'run',
    '--project',
    project,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
  ];
  const code = await run([...bin('vitest/vitest.mjs'), ...options], env);
  let counts = { passed: 0, failed: 0, skipped: 0 };
  try {
    /** @type {import('vitest/reporters').JsonTestResults} */
    const result = JSON.parse(readFileSync(report, 'utf8'));
    const broken = result.testResults.filter(
      (file) =>
        file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
    );
    counts = {
      passed: result.numPassedTests,
      failed: result.numFailedTests + broken.length,
      skipped: result.numPendingTests + result.numTodoTests,
    };
  } catch {
    say(`${project}: vitest wrote no report (exit code ${code})`);
  }
  if ((code !== 0 || counts.passed === 0) && counts.failed === 0) counts.failed = 1;
  return counts;
}

async function main() {
  const asked = process.argv.slice(2).flatMap((name) => groups[name] ?? [name]);
  const unknown = asked.find((name) => !parts[name]);
  if (unknown) {
    say(
      `Unknown part ${unknown}. Parts: ${[...Object.keys(parts), ...Object.keys(groups)].join(', ')}`,
    );
    process.exit(2);
  }
  const chosen = Object.keys(parts).filter((name) => !asked.length || asked.includes(name));
  ensureInstalled();
  let env = { ...process.env };
  if (chosen.some((name) => parts[name].vitest)) {
    const { ensureChromium } = await import('./chromium.mjs');
    const { dawnEnvironment } = await import('./dawn.mjs');
    if (chosen.some((name) => parts[name].chromium)) {
      try {
        env.CHROMIUM = ensureChromium();
      } catch (error) {
        say(messageOf(error)); // the parts that need it fail and say so
      }
    }
    env = { ...env, ...dawnEnvironment() };
  }
  const folder = mkdtempSync(join(tmpdir(), 'guilomo-test-'));
  /** @type {{ name: string, passed: number, failed: number, skipped?: number, time: number }[]} */
  const table = [];
  for (const name of chosen) {
    process.stdout.write(`\n── ${name}\n`);
    const started = Date.now();
    const part = parts[name];
    const counts =
      part.vitest !== undefined
        ? await runVitest(part.vitest, env, folder)
        : (await run(part.command(), env)) === 0
          ? { passed: 1, failed: 0 }
          : { passed: 0, failed: 1 };
    table.push({ name, ...counts, time: Date.now() - started });
  }
  rmSync(folder, { recursive: true, force: true });
  const sum = (/** @type {'passed' | 'failed' | 'skipped' | 'time'} */ key) =>
    table.reduce((total, row) => total + (row[key] ?? 0), 0);
  process.stdout.write('\n');
  for (const row of [
    ...table,
    {
      name: 'all',
      passed: sum('passed'),
      failed: sum('failed'),
      skipped: sum('skipped'),
      time: sum('time'),
    },
  ]) {
    const skipped = row.skipped ? `, ${row.skipped} skipped` : '';
    process.stdout.write(
      `${row.name.padEnd(18)}${minutes(row.time).padStart(9)}  ${row.passed} passed, ${row.failed} failed${skipped}\n`,
    );
  }
  process.stdout.write(`${sum('passed')} passed, ${sum('failed')} failed\n`);
  process.exit(sum('failed') || !sum('passed') ? 1 : 0);
}

main().catch((error) => {
  say(error.stack);
  process.stdout.write('0 passed, 1 failed\n');
  process.exit(1);
});
