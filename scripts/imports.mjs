// Checks the direction of imports, that there are no cycles, and that shaders and tests stay where
// they belong.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from './setup.mjs';

// Folder of src/ → what it may import besides itself: folders, or single modules.
const engine = ['gpu', 'graph', 'ops', 'adapters', 'model', 'train'];
const settings = ['allocation', 'settings'];
// What a method is, apart from its mathematics, which lies beside it in mix.ts.
const shapes = ['methods', 'registry', 'shape'].map((name) => `adapters/methods/${name}`);
const below = (/** @type {string} */ folder) => [
  'util',
  ...engine.slice(0, engine.indexOf(folder)),
];
const all = ['util', ...settings, ...engine, 'data', 'files'];
// What the page sees of the rest.
const seen = ['util', ...settings, ...shapes, 'worker/protocol', 'data/dataset/roles'];
/** @type {Record<string, string[]>} */
export const rules = {
  util: [],
  allocation: ['util'],
  settings: ['util', 'allocation', ...shapes, 'data/dataset/roles'],
  data: ['util'],
  reference: ['util'],
  gpu: [...below('gpu'), 'shaders/lib'], // modules that kernels join by name
  graph: below('graph'),
  ops: [...below('ops'), 'shaders'],
  adapters: [...below('adapters'), 'allocation'],
  model: [...below('model'), 'allocation', 'data'],
  train: [...below('train'), ...settings, 'data'],
  files: ['util', 'allocation', 'adapters', 'train', 'data'],
  bench: all,
  worker: [...all, 'bench'],
  cli: [...all, 'bench'],
  state: seen,
  ui: [...seen, 'state'],
  '': ['ui', 'state', ...seen], // entry files directly in src/
};
const isShape = (/** @type {string} */ module) =>
  /^adapters\/methods\/([\w-]+\/shape|methods|registry|shape)$/.test(module);
const pureShape = ['util', 'allocation', 'adapters/methods'];
// Modules that the page loads without the engine: these folders, modules and packages alone.
/** @type {Record<string, string[]>} */
export const pure = {
  allocation: ['util', 'allocation'],
  settings: ['util', 'allocation', 'settings', ...shapes, 'data/dataset/roles'],
  'data/dataset/roles': [],
};
const purePackages = ['zod'];

const patterns = [
  /^\s*(?:import|export)\b[^'";]*?\bfrom\s*['"]([^'"]+)['"]/gm,
  /^\s*import\s*['"]([^'"]+)['"]/gm,
  /\bimport\(\s*(?:\/\*.*?\*\/\s*)?['"]([^'"]+)['"]/g,
  /\bimport\.meta\.glob(?:<[^(]*>)?\(\s*['"]([^'"]+)['"]/g,
  /\bnew URL\(\s*['"](\.[^'"]+)['"],\s*import\.meta\.url/g,
];

/**
 * Every specifier that a TypeScript source imports.
 * @param {string} source
 */
export function specifiers(source) {
  return [
    ...new Set(
      patterns.flatMap((pattern) => [...source.matchAll(pattern)].map((match) => match[1])),
    ),
  ];
}

const isTest = (/** @type {string} */ path) =>
  /\.test\.tsx?$/.test(path) || path.startsWith('src/testing/');
const folderOf = (/** @type {string} */ path) =>
  path.startsWith('shaders/') ? 'shaders' : path.split('/').length > 2 ? path.split('/')[1] : '';
/** The folders that a module lies in, from the widest, and the module itself. */
const placesOf = (/** @type {string} */ path) => {
  const parts = moduleOf(path).split('/');
  return parts.map((_, i) => parts.slice(0, i + 1).join('/'));
};
const moduleOf = (/** @type {string} */ path) => path.replace(/^src\//, '').replace(/\.tsx?$/, '');

/**
 * Violations in a set of files, path → source; paths are relative to the repository. `exists` says
 * whether a file is there.
 * @param {Map<string, string>} files
 * @param {(path: string) => boolean} exists
 */
export function violations(files, exists) {
  const found = [];
  const graph = new Map();
  for (const [path, source] of files) {
    const from = folderOf(path);
    const targets = [];
    const module = moduleOf(path);
    const purely = placesOf(path)
      .map((place) => (isShape(place) ? pureShape : pure[place]))
      .find(Boolean);
    for (const specifier of specifiers(source)) {
      if (!specifier.startsWith('.')) {
        if (purely && !isTest(path) && !purePackages.includes(specifier))
          found.push(`${path}: ${module} may use no package but ${purePackages}, not ${specifier}`);
        continue;
      }
      const target = posix.normalize(posix.join(dirname(path), specifier.replace(/\?.*$/, '')));
      const isGlob = target.includes('*');
      if (!isGlob && !exists(target)) {
        found.push(`${path}: ${specifier} is no file (name it with its extension)`);
        continue;
      }
      if (!isGlob) targets.push(target);
      if (isTest(path)) continue;
      const to = folderOf(target);
      if (/\/methods\/[\w-]+\/mix\.ts$/.test(target))
        found.push(`${path}: ${target} is reached by adapters/method.ts alone`);
      else if (isTest(target)) found.push(`${path}: imports ${target}, which is for tests only`);
      else if (target.startsWith('shaders/') || target.startsWith('src/')) {
        const allowed = purely ?? rules[from];
        if (!allowed) found.push(`${path}: the folder ${from} has no rule in scripts/imports.mjs`);
        else if (
          (from !== to || purely) &&
          !placesOf(target).some((place) => allowed.includes(place))
        ) {
          found.push(
            `${path}: ${from || 'src'} may not import ${moduleOf(target)} (only ${allowed.join(', ') || 'itself'})`,
          );
        }
      }
    }
    if (/^\s*export\s*\*\s*from/m.test(source)) found.push(`${path}: no barrels (export * from)`);
    graph.set(path, targets);
  }
  return [...found, ...cycles(graph)];
}

/**
 * One message for every cycle that a depth-first walk meets.
 * @param {Map<string, string[]>} graph
 */
function cycles(graph) {
  const state = new Map();
  /** @type {string[]} */
  const found = [];
  /**
   * @param {string} path
   * @param {string[]} trail
   */
  const visit = (path, trail) => {
    const targets = graph.get(path);
    if (state.get(path) === 'done' || !targets) return;
    if (state.get(path) === 'open') {
      found.push(`cycle: ${[...trail.slice(trail.indexOf(path)), path].join(' → ')}`);
      return;
    }
    state.set(path, 'open');
    for (const target of targets) visit(target, [...trail, path]);
    state.set(path, 'done');
  };
  for (const path of graph.keys()) visit(path, []);
  return found;
}

/**
 * Files below a folder of the repository whose names match, as paths with forward slashes.
 * @param {string} folder
 * @param {RegExp} pattern
 */
export function filesBelow(folder, pattern) {
  const at = join(root, folder);
  if (!existsSync(at)) return [];
  return readdirSync(at, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && pattern.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .sort();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const paths = filesBelow('src', /\.tsx?$/);
  const files = new Map(paths.map((path) => [path, readFileSync(join(root, path), 'utf8')]));
  const found = violations(files, (path) => existsSync(join(root, path)));
  for (const line of found) process.stdout.write(`${line}\n`);
  process.stdout.write(`${paths.length} files, ${found.length} violations of the import rules\n`);
  process.exit(found.length ? 1 : 0);
}
