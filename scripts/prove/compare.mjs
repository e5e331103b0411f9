// The comparisons of docs/results.md at full size. Finished runs lie in docs/results, and each goes
// on from them: without these files it begins anew.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cliEnvironment, ensureCli } from '../cli.mjs';
import { lastLine, root, say } from '../setup.mjs';

export const about =
  'ways of sizing adapters at equal parameters: hours [demo|second|ranks|one-rate|second-one-rate] [--doc writes the tables into docs/results.md]';

/**
 * By name: the task (the demo's, or a second one of other skills in the same words) and the plan.
 * @type {Record<string, { task: string, plan: string }>}
 */
export const COMPARISONS = {
  demo: { task: 'demo', plan: 'scripts/prove/compare-tuned.plan.json' },
  second: { task: 'second', plan: 'scripts/prove/compare-tuned.plan.json' },
  ranks: { task: 'demo', plan: 'scripts/prove/compare-ranks.plan.json' },
  'one-rate': { task: 'demo', plan: 'scripts/prove/compare-one-rate.plan.json' },
  'second-one-rate': { task: 'second', plan: 'scripts/prove/compare-one-rate.plan.json' },
};

const PYTHONS = process.platform === 'win32' ? ['python', 'py'] : ['python3', 'python'];

/** Writes the second task's rows; tasks.py needs nothing but Python. */
function makeSecond() {
  const folder = '.cache/compare/second-data';
  if (existsSync(join(root, folder, 'heldout.jsonl'))) return folder;
  mkdirSync(join(root, folder), { recursive: true });
  for (const python of PYTHONS) {
    const made = spawnSync(python, ['scripts/demo/tasks.py', '--second', '--out', folder], {
      cwd: root,
      stdio: ['ignore', 2, 2],
    });
    if (made.status === 0) return folder;
  }
  throw new Error('The second task is written by scripts/demo/tasks.py, which needs Python 3.');
}

/**
 * Puts the tables between the section's marks in docs/results.md; a section that is not there is
 * added at the end.
 * @param {string} text
 * @param {string} name
 * @param {string} tables
 */
export function withSection(text, name, tables) {
  const [begin, end] = [`<!-- compare ${name} -->`, `<!-- /compare ${name} -->`];
  const section = `${begin}\n\n${tables.trim()}\n\n${end}`;
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) return `${text.trimEnd()}\n\n${section}\n`;
  return `${text.slice(0, from)}${section}${text.slice(to + end.length)}`;
}

/** @param {string[]} options */
export default async function compare(options) {
  const name = options.find((o) => !o.startsWith('--')) ?? 'demo';
  if (!Object.hasOwn(COMPARISONS, name))
    throw new Error(`There is no comparison "${name}": ${Object.keys(COMPARISONS).join(', ')}.`);
  const { task, plan } = COMPARISONS[name];
  const data = task === 'second' ? makeSecond() : 'public/demo';
  const out = `docs/results/${task}`;
  await ensureCli();
  const files = [
    '--data',
    `${data}/train.jsonl`,
    '--held-out',
    `${data}/heldout.jsonl`,
    '--plan',
    plan,
    '--out',
    out,
  ];
  const { status, stdout } = spawnSync(
    process.execPath,
    [join(root, 'scripts/cli.mjs'), 'compare', '--model', 'public/demo', ...files, '--json'],
    { cwd: root, encoding: 'utf8', env: cliEnvironment(), stdio: ['ignore', 'pipe', 'inherit'] },
  );
  if (status !== 0) return { passed: false, exitCode: status };
  const tables = readFileSync(join(root, out, 'table.md'), 'utf8');
  say(tables);
  if (options.includes('--doc')) {
    const doc = join(root, 'docs/results.md');
    writeFileSync(
      doc,
      withSection(
        existsSync(doc) ? readFileSync(doc, 'utf8') : '# Does the search help?\n',
        name,
        tables,
      ),
    );
    say(`Written into docs/results.md, section ${name}.`);
  }
  /** @type {{ methods: { n: number }[] }} */
  const table = lastLine(stdout);
  const { seeds } = JSON.parse(readFileSync(join(root, plan), 'utf8'));
  return { passed: table.methods.every((m) => m.n === seeds.length), out, ...table };
}
