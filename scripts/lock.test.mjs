// The lock file holds the packages of every platform, so that `npm ci` takes it on each.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { complete, missingPackages } from './lock.mjs';
import { root } from './setup.mjs';

describe('package-lock.json', () => {
  it('has an entry for every optional dependency (else: node scripts/lock.mjs)', () => {
    const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
    expect(missingPackages(lock).map((each) => each.name)).toEqual([]);
  });

  it('is completed from the names', () => {
    const main = {
      version: '1.0.0',
      dev: true,
      license: 'MIT',
      engines: { node: '>=20' },
      optionalDependencies: { 'a-linux-x64-musl': '1.0.0' },
    };
    const lock = complete({ packages: { 'node_modules/b': {}, 'node_modules/a': main } });
    expect(Object.keys(lock.packages)).toEqual([
      'node_modules/a',
      'node_modules/a-linux-x64-musl',
      'node_modules/b',
    ]);
    const { os, cpu, libc, optional } = lock.packages['node_modules/a-linux-x64-musl'];
    expect({ os, cpu, libc, optional }).toEqual({
      os: ['linux'],
      cpu: ['x64'],
      libc: ['musl'],
      optional: true,
    });
  });
});
