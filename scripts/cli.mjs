// Starts the command line: installs and builds what is missing or stale, then runs it in a Node in
// which Dawn finds an adapter.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dawnEnvironment } from './dawn.mjs';
import { ensureInstalled, root, say } from './setup.mjs';

const output = join(root, 'dist/cli/main.js');
const sources = [
  'src',
  'shaders',
  'scripts/cli.mjs',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
];

/**
 * The newest modification time of a file or of anything in a folder; tests don't count.
 * @param {string} path
 * @returns {number}
 */
function newest(path) {
  const entry = statSync(path);
  if (!entry.isDirectory()) return /\.test\.tsx?$/.test(path) ? 0 : entry.mtimeMs;
  const inside = readdirSync(path).filter((name) => name !== 'golden');
  return Math.max(0, ...inside.map((name) => newest(join(path, name))));
}

async function build() {
  const started = new Date();
  const { build: viteBuild } = await import('vite');
  // moved into place when whole: two builds don't meet
  const folder = join(root, `dist/.cli-${process.pid}`);
  try {
    await viteBuild({
      root,
      configFile: false,
      logLevel: 'error',
      publicDir: false,
      ssr: { noExternal: true, external: ['webgpu'] },
      build: {
        ssr: 'src/cli/main.ts',
        outDir: folder,
        emptyOutDir: true,
        target: 'node20',
        minify: false,
        sourcemap: 'inline',
        rolldownOptions: { output: { entryFileNames: 'main.js', codeSplitting: false } },
      },
    });
    // what changed while it was built is newer
    utimesSync(join(folder, 'main.js'), started, started);
    rmSync(join(root, 'dist/cli'), { recursive: true, force: true });
    renameSync(folder, join(root, 'dist/cli'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Builds dist/cli/main.js when anything that it is made of is newer. Returns its path. */
export async function ensureCli() {
  ensureInstalled();
  const stale =
    !existsSync(output) ||
    sources.some((path) => newest(join(root, path)) > statSync(output).mtimeMs);
  if (stale) {
    say('Building the command line …');
    await build();
  }
  return output;
}

/** Variables for a process that runs the command line. */
export const cliEnvironment = () => ({ ...process.env, ...dawnEnvironment() });

async function main() {
  const file = await ensureCli();
  const help = process.argv.length < 3 || process.argv.includes('--help'); // installs no browser
  const options = ['--enable-source-maps', '--no-warnings', file, ...process.argv.slice(2)];
  const child = spawn(process.execPath, options, {
    stdio: 'inherit',
    env: help ? process.env : cliEnvironment(),
  });
  // A terminal sends Ctrl-C to both; whatever else arrives here is passed on. The child decides
  // when it ends.
  /** @type {NodeJS.Signals[]} */
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    say(`Node could not be started: ${error.message}`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    if (!signal) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main().catch((error) => {
    say(error.message);
    process.exit(1);
  });
}
