// Installs the packages when they are missing or older than the lock file. Needs nothing but Node
// and npm.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's folder. */
export const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * A message of set-up or progress: to stderr, since stdout carries results only.
 * @param {string} message
 */
export const say = (message) => void process.stderr.write(`${message}\n`);

/**
 * What a command says in the last line of its output, as JSON.
 * @param {string} output
 */
export const lastLine = (output) => JSON.parse(output.trim().split('\n').at(-1) ?? '');

/**
 * The value of an option `--name VALUE`; undefined where it is not given.
 * @param {string[]} options
 * @param {string} name
 */
export function optionOf(options, name) {
  const at = options.indexOf(`--${name}`);
  return at < 0 ? undefined : options[at + 1];
}

/** @param {unknown} error */
export const messageOf = (error) => (error instanceof Error ? error.message : String(error));

/**
 * Whole minutes and tenths, for tables.
 * @param {number} milliseconds
 */
export const minutes = (milliseconds) => `${(milliseconds / 60000).toFixed(1)} min`;

/**
 * `npm ci`, when node_modules is missing or package-lock.json is newer than what was installed.
 * Throws when it fails.
 */
export function ensureInstalled() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19))
    throw new Error(`Node 20.19 or newer is needed; this is ${process.version}`);
  const installed = join(root, 'node_modules/.package-lock.json');
  if (
    existsSync(installed) &&
    statSync(installed).mtimeMs >= statSync(join(root, 'package-lock.json')).mtimeMs
  )
    return;
  say('Installing the packages of package-lock.json into node_modules (npm ci) …');
  // npm's own stdout goes to our stderr.
  const result = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (result.status !== 0)
    throw new Error(`npm ci failed (exit code ${result.status ?? result.error?.message})`);
}
