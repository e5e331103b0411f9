// The examples of the docs are true: each docs/examples/*.diff applies to this tree, changes no more
// than it says, and the tests that it brings or names pass in a copy of the tree.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { root } from './setup.mjs';

const folder = join(root, 'docs/examples');
const copy = mkdtempSync(join(tmpdir(), 'guilomo-example-'));
afterAll(() => rmSync(copy, { recursive: true, force: true }));

/**
 * @param {string} command
 * @param {string[]} args
 */
const run = (command, args) => {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: copy, encoding: 'utf8' });
  return { status, output: stdout + stderr };
};

/**
 * The files of a diff with the lines that it adds and takes away.
 * @param {string} diff
 */
function changes(diff) {
  const files = diff.split(/^diff --git /m).slice(1);
  return files.map((text) => ({
    path: /^a\/(\S+)/.exec(text)?.[1] ?? '',
    isNew: /^new file mode/m.test(text),
    added: text.match(/^\+(?!\+\+ )/gm)?.length ?? 0,
    removed: text.match(/^-(?!-- )/gm)?.length ?? 0,
  }));
}

/**
 * Project and files of a diff's tests: those in a line `Tests: …` before it, or those it adds.
 * @param {string} diff
 * @param {{ path: string }[]} parts
 */
function testsOf(diff, parts) {
  const named = /^Tests: (.*)$/m.exec(diff);
  if (named) return named[1].split(' ');
  const tests = parts.map((part) => part.path).filter((path) => /\.test\.ts$/.test(path));
  expect(tests.length).toBeGreaterThan(0);
  return [tests.some((path) => path.includes('.gpu.')) ? 'kernels-node' : 'unit', ...tests];
}

const examples = readdirSync(folder).filter((name) => name.endsWith('.diff'));
for (const name of ['src', 'shaders', 'scripts', 'tsconfig.json', 'package.json'])
  cpSync(join(root, name), join(copy, name), { recursive: true });
for (const name of ['vite.config.ts', 'vitest.config.ts', 'e2e'])
  cpSync(join(root, name), join(copy, name), { recursive: true });
symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'), 'dir');

describe.each(examples)('%s', (name) => {
  const diff = readFileSync(join(folder, name), 'utf8');
  const parts = changes(diff);

  it('is one line, beside files of one folder where it adds some', () => {
    const added = parts.filter((part) => part.isNew);
    const changed = parts.filter((part) => !part.isNew);
    expect(new Set(added.map((part) => dirname(part.path))).size).toBeLessThanOrEqual(1);
    expect(changed.map(({ added, removed }) => [added, removed])).toEqual([[1, 0]]);
  });

  it('applies, type-checks and passes its tests', { timeout: 300_000 }, () => {
    const file = join(folder, name);
    expect(run('git', ['apply', file])).toMatchObject({ status: 0, output: '' });
    const bin = (/** @type {string} */ path) => [join(root, 'node_modules', path)];
    expect(run(process.execPath, [...bin('typescript/bin/tsc'), '--noEmit']).output).toBe('');
    const vitest = [...bin('vitest/vitest.mjs'), 'run', '--project', ...testsOf(diff, parts)];
    const { status, output } = run(process.execPath, vitest);
    expect(status, output).toBe(0);
    expect(run('git', ['apply', '--reverse', file]).status).toBe(0);
  });
});
