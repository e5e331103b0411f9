// Completes package-lock.json with the optional packages of other platforms: npm leaves out those
// that a registry mirror does not offer, and `npm ci` then refuses the file everywhere. Run after
// `npm install`: node scripts/lock.mjs
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root, say } from './setup.mjs';

/**
 * @typedef {object} Entry
 * @property {string} [version]
 * @property {boolean} [dev]
 * @property {boolean} [optional]
 * @property {string} [license]
 * @property {Record<string, string>} [engines]
 * @property {string[]} [os]
 * @property {string[]} [cpu]
 * @property {string[]} [libc]
 * @property {Record<string, string>} [optionalDependencies]
 * @typedef {{ packages: Record<string, Entry> }} Lock
 */

/**
 * Optional dependencies without an entry.
 * @param {Lock} lock
 */
export function missingPackages(lock) {
  return Object.entries(lock.packages).flatMap(([path, entry]) =>
    Object.entries(entry.optionalDependencies ?? {})
      .map(([name, version]) => ({ key: `node_modules/${name}`, name, version, path }))
      .filter(({ key }) => !lock.packages[key] && !lock.packages[`${path}/${key}`]),
  );
}

/**
 * The lock with an entry for each of them; platform and C library are read from the package's name.
 * @param {Lock} lock
 */
export function complete(lock) {
  const packages = { ...lock.packages };
  for (const { key, name, version, path } of missingPackages(lock)) {
    const [, os, cpu, abi] =
      /-(android|darwin|freebsd|linux|wasm32|win32)-(arm64|x64|arm|wasi)(?:-(\w+))?$/.exec(name) ??
      [];
    if (!os) throw new Error(`${name}: its platform can't be read from its name`);
    const { dev, license, engines } = packages[path];
    const platform =
      os === 'wasm32'
        ? { cpu: ['wasm32'] }
        : { cpu: [cpu], os: [os], ...(os === 'linux' && abi === 'musl' ? { libc: ['musl'] } : {}) };
    packages[key] = { version, ...platform, dev, license, optional: true, engines };
  }
  const order = new Intl.Collator('en');
  return {
    ...lock,
    packages: Object.fromEntries(Object.entries(packages).sort(([a], [b]) => order.compare(a, b))),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = join(root, 'package-lock.json');
  const lock = JSON.parse(readFileSync(file, 'utf8'));
  say(`${missingPackages(lock).length} packages added`);
  writeFileSync(file, `${JSON.stringify(complete(lock), null, 2)}\n`);
}
