// Runs one full-size measurement by name: npm run prove -- NAME [options]. Each is a module in
// scripts/prove/ that exports `about` (one line) and a default function (its options as an array) →
// an object of figures, with `passed` true or false.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureInstalled, minutes, root, say } from './setup.mjs';

const folder = join(root, 'scripts/prove');
const names = existsSync(folder)
  ? readdirSync(folder)
      .filter((file) => file.endsWith('.mjs') && !file.startsWith('_'))
      .map((file) => file.slice(0, -4))
      .sort()
  : [];
const load = (/** @type {string} */ name) =>
  import(pathToFileURL(join(folder, `${name}.mjs`)).href);

const [name, ...options] = process.argv.slice(2);
ensureInstalled();
if (!name || !names.includes(name)) {
  if (name) say(`There is no measurement ${name}.`);
  say('npm run prove -- NAME, with one of:');
  for (const each of names) say(`  ${each.padEnd(16)} ${(await load(each)).about ?? ''}`);
  process.exit(name ? 2 : 0);
}
const started = Date.now();
const figures = await (await load(name)).default(options);
process.stdout.write(`${JSON.stringify({ measurement: name, ...figures }, null, 2)}\n`);
say(`${name}: ${figures.passed ? 'passed' : 'not passed'}, ${minutes(Date.now() - started)}`);
process.exit(figures.passed ? 0 : 1);
