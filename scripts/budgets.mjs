// Line budgets: prints a table and fails where a file or the engine is longer than it may be.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { filesBelow } from './imports.mjs';
import { root } from './setup.mjs';

// Kinds of files, the first that fits counts: [name, pattern, lines a file].
const kinds = [
  ['tests', /\.test\.(tsx?|mjs)$|^e2e\//, 750],
  ['components', /^src\/ui\/.*\.tsx$/, 250],
  ['TypeScript', /\.tsx?$/, 375],
  ['WGSL', /\.wgsl$/, 190],
];
const engineFolders = ['gpu', 'graph', 'ops', 'adapters', 'model', 'train'];
const engineLimit = 10_000;
// Files with a budget of their own: path → [lines, the sentence that says why].
const raised = {
  'src/train/config.ts': [
    450,
    'one schema, read as a whole; its parts would only import one another',
  ],
  'src/ui/search/CellGrid.tsx': [265, 'one table whose keyboard and focus belong together'],
};

const lines = (path) => readFileSync(join(root, path), 'utf8').split('\n').length - 1;
const files = [
  ...filesBelow('src', /\.tsx?$/),
  ...filesBelow('e2e', /\.ts$/),
  ...filesBelow('shaders', /\.wgsl$/),
  ...filesBelow('scripts', /\.test\.mjs$/),
];

/** The table's rows and the files that are too long. */
function measure() {
  const rows = [];
  const over = [];
  const counted = files.map((path) => ({
    path,
    lines: lines(path),
    kind: kinds.find(([, pattern]) => pattern.test(path)),
  }));
  for (const kind of kinds) {
    const own = counted.filter((file) => file.kind === kind).sort((a, b) => b.lines - a.lines);
    const sum = own.reduce((total, file) => total + file.lines, 0);
    rows.push([kind[0], own.length, sum, own[0]?.lines ?? 0, kind[2], own[0]?.path ?? '–']);
    for (const file of own) {
      const limit = raised[file.path]?.[0] ?? kind[2];
      if (file.lines > limit)
        over.push(
          `${file.path}: ${file.lines} lines, ${file.lines - limit} over its budget of ${limit}`,
        );
    }
  }
  let total = 0;
  for (const folder of engineFolders) {
    const own = counted.filter(
      (file) => file.path.startsWith(`src/${folder}/`) && file.kind !== kinds[0],
    );
    const sum = own.reduce((all, file) => all + file.lines, 0);
    total += sum;
    rows.push([`engine: ${folder}`, own.length, sum, '', '', '']);
  }
  rows.push(['engine', '', total, '', engineLimit, `${engineLimit - total} lines left`]);
  if (total > engineLimit)
    over.push(
      `the engine: ${total} lines, ${total - engineLimit} over its budget of ${engineLimit}`,
    );
  return { rows, over };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { rows, over } = measure();
  for (const row of [['', 'files', 'lines', 'longest', 'budget', ''], ...rows]) {
    const [name, count, sum, longest, limit, note] = row.map(String);
    process.stdout.write(
      `${name.padEnd(18)}${count.padStart(6)}${sum.padStart(8)}${longest.padStart(9)}${limit.padStart(8)}  ${note}\n`,
    );
  }
  for (const [path, [limit, why]] of Object.entries(raised))
    process.stdout.write(`${path}: ${limit} allowed: ${why}\n`);
  for (const line of over) process.stdout.write(`${line}\n`);
  process.exit(over.length ? 1 : 0);
}
