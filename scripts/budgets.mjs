// Sizes: what each folder of src/ and shaders/ holds, as a report; and the limits of a file and of
// the path of a training step, which are checked.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from '@babel/parser';
import { filesBelow } from './imports.mjs';
import { root } from './setup.mjs';

/**
 * Kinds of files, the first that fits counts: name, pattern, lines a file.
 * @type {[string, RegExp, number][]}
 */
const kinds = [
  ['tests', /\.test\.(tsx?|mjs)$|^e2e\//, 750],
  ['components', /^src\/ui\/.*\.tsx$/, 250],
  ['TypeScript', /\.tsx?$/, 375],
  ['WGSL', /\.wgsl$/, 190],
];
/**
 * Files with a budget of their own: path → lines, the sentence that says why.
 * @type {Record<string, [number, string]>}
 */
const raised = {};
// The path of a training step, and how many lines of code it may have: 8,500, and 1,700 for real GPUs
// (choosing kernels by measurement, attention in blocks, tiles by shape, products and gates that share
// a launch, windows of the vocabulary, rows without padding, half precision).
const engine = ['gpu', 'graph', 'ops', 'adapters', 'model', 'train', 'shaders'];
const engineLimit = 10_200;
const STRETCH = 60;

/** @typedef {{ lengths: number[], shape: string[], comments: number }} Measured */

const read = (/** @type {string} */ path) => readFileSync(join(root, path), 'utf8');
const lineCount = (/** @type {string} */ text) => text.split('\n').length - 1;

/**
 * Lengths of the lines that hold code (neither blank nor comment alone), and token kinds.
 * @param {string} path
 * @returns {Measured}
 */
function measure(path) {
  const text = read(path);
  const lines = text.split('\n');
  if (path.endsWith('.wgsl')) {
    const code = lines.filter((line) => line.trim() && !line.trim().startsWith('//'));
    return { lengths: code.map((line) => line.length), shape: [], comments: 0 };
  }
  /** @type {('typescript' | 'jsx')[]} */
  const plugins = path.endsWith('x') ? ['typescript', 'jsx'] : ['typescript'];
  const code = new Set();
  const comments = new Set();
  const shape = [];
  const { tokens } = parse(text, { sourceType: 'module', plugins, tokens: true });
  for (const token of tokens ?? []) {
    const label = token.type.label ?? token.type;
    if (label === 'eof') continue;
    const comment = label === 'CommentLine' || label === 'CommentBlock';
    if (!comment) shape.push(label);
    const into = comment ? comments : code;
    for (let line = token.loc.start.line; line <= token.loc.end.line; line++) into.add(line);
  }
  return {
    lengths: [...code].map((line) => lines[line - 1].length),
    shape,
    comments: [...comments].filter((line) => !code.has(line)).length,
  };
}

/**
 * Share of tokens, imports left out, in stretches that occur again with other names.
 * @param {string[][]} shapes
 */
function repeated(shapes) {
  const bodies = shapes.map((shape) => shape.slice(shape.lastIndexOf('import') + 1));
  const windows = bodies.map((shape) =>
    Array.from({ length: Math.max(0, shape.length - STRETCH + 1) }, (_, i) =>
      shape.slice(i, i + STRETCH).join(' '),
    ),
  );
  const seen = new Map();
  for (const key of windows.flat()) seen.set(key, (seen.get(key) ?? 0) + 1);
  let covered = 0;
  windows.forEach((keys, file) => {
    const marked = new Uint8Array(bodies[file].length);
    keys.forEach((key, i) => {
      if (seen.get(key) > 1) marked.fill(1, i, i + STRETCH);
    });
    covered += marked.reduce((sum, mark) => sum + mark, 0);
  });
  return covered / Math.max(1, bodies.flat().length);
}

/**
 * A row of the report over measured files.
 * @param {string} name
 * @param {Measured[]} files
 * @returns {[string, ...(string | number)[]]}
 */
function row(name, files) {
  const lengths = files.flatMap((f) => f.lengths).sort((a, b) => a - b);
  const tokens = files.reduce((sum, f) => sum + f.shape.length, 0);
  const comments = files.reduce((sum, f) => sum + f.comments, 0);
  const typescript = files.filter((f) => f.shape.length > 0);
  const code = typescript.reduce((sum, f) => sum + f.lengths.length, 0);
  return [
    name,
    files.length,
    lengths.length,
    tokens || '',
    tokens ? (tokens / code).toFixed(2) : '',
    lengths[Math.floor(lengths.length * 0.9)] ?? '',
    tokens ? `${((100 * comments) / (comments + code)).toFixed(0)} %` : '',
    tokens ? `${(100 * repeated(typescript.map((f) => f.shape))).toFixed(1)} %` : '',
  ];
}

/** The report's rows, and what is over its limit. */
export function budgets() {
  const sources = [...filesBelow('src', /\.tsx?$/), ...filesBelow('shaders', /\.wgsl$/)];
  const all = [...sources, ...filesBelow('e2e', /\.ts$/), ...filesBelow('scripts', /\.test\.mjs$/)];
  const over = [];
  for (const path of all) {
    const limit = raised[path]?.[0] ?? kinds.find(([, pattern]) => pattern.test(path))?.[2];
    if (limit === undefined) throw new Error(`${path} is of no kind`);
    const lines = lineCount(read(path));
    if (lines > limit) over.push(`${path}: ${lines} lines, ${lines - limit} over its ${limit}`);
  }
  /** @type {Map<string, Measured[]>} */
  const folders = new Map();
  for (const path of sources.filter((p) => !/\.(test|d)\.tsx?$/.test(p))) {
    const folder = path.startsWith('shaders/') ? 'shaders' : path.split('/')[1];
    folders.set(folder, [...(folders.get(folder) ?? []), measure(path)]);
  }
  const rows = [...folders].sort().map(([name, files]) => row(name, files));
  const path = engine.flatMap((name) => folders.get(name) ?? []);
  const code = path.reduce((sum, f) => sum + f.lengths.length, 0);
  if (code > engineLimit)
    over.push(`the path of a step: ${code} lines of code, ${code - engineLimit} over its limit`);
  return { rows: [...rows, row('path of a step', path)], over, code };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { rows, over, code } = budgets();
  /** @type {[string, ...string[]]} */
  const head = [
    '',
    'files',
    'code lines',
    'tokens',
    'a line',
    'p90 length',
    'comments',
    'repeated',
  ];
  for (const [name, ...cells] of [head, ...rows])
    process.stdout.write(
      `${name.padEnd(16)}${cells.map((cell) => String(cell).padStart(11)).join('')}\n`,
    );
  process.stdout.write(`path of a step: ${code} of ${engineLimit} lines of code\n`);
  for (const [path, [limit, why]] of Object.entries(raised))
    process.stdout.write(`${path} may have ${limit} lines: ${why}\n`);
  for (const line of over) process.stdout.write(`${line}\n`);
  process.exit(over.length ? 1 : 0);
}
