// ARCHITECTURE.md's path for newcomers names files that are there, and stays an evening's reading.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { root } from './setup.mjs';

it('the path has at most 1,400 lines', () => {
  const text = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
  const path = text.split("## A newcomer's path")[1].split('Then, as needed')[0];
  const files = [...path.matchAll(/`((?:src|shaders)\/[\w./-]+)`/g)].map((m) => m[1]);
  expect(files.length).toBeGreaterThan(8);
  const lines = files.map((file) => readFileSync(join(root, file), 'utf8').split('\n').length - 1);
  const sum = lines.reduce((a, b) => a + b, 0);
  expect(sum, files.map((file, i) => `${lines[i]} ${file}`).join('\n')).toBeLessThanOrEqual(1400);
});
