// docs/results.md: tables are put between their marks, the prose around them stays; they are what
// the finished runs come to.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { allocationOfRanks } from '../src/allocation/allocation.ts';
import { parsePlan } from '../src/cli/compare/plan.ts';
import { summarise } from '../src/cli/compare/summary.ts';
import { tableMarkdown } from '../src/cli/compare/table.ts';
import { parseModelConfig } from '../src/model/config.ts';
import { COMPARISONS, withSection } from './prove/compare.mjs';
import { root } from './setup.mjs';

const read = (/** @type {string[]} */ ...path) => readFileSync(join(root, ...path), 'utf8');
const json = (/** @type {string[]} */ ...path) => JSON.parse(read(...path));

test('a new section is added at the end; an old one is replaced where it stands', () => {
  const one = withSection('# Results\n\nProse.\n', 'demo', 'first table\n');
  expect(one).toBe(
    '# Results\n\nProse.\n\n<!-- compare demo -->\n\nfirst table\n\n<!-- /compare demo -->\n',
  );
  const two = withSection(`${one}\nMore prose.\n`, 'second', 'other');
  const three = withSection(two, 'demo', 'new table');
  expect(three).toContain(
    '<!-- compare demo -->\n\nnew table\n\n<!-- /compare demo -->\n\nMore prose.\n\n<!-- compare second -->\n\nother',
  );
  expect(three).not.toContain('first table');
});

test.each(Object.entries(COMPARISONS))(
  '%s: the tables follow from the runs in docs/results',
  async (name, { task: folder, plan: file }) => {
    const plan = parsePlan(
      json(file),
      file,
      parseModelConfig(json('public/demo/config.json'), 'public/demo'),
    );
    const runs = read('docs/results', folder, 'results.jsonl')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const table = await summarise(plan, {
      find: async ({ method, stage, seed, learningRate }) => {
        const { steps } = method.config(seed, learningRate).train;
        const wanted = JSON.stringify([stage, method.name, seed, learningRate, steps]);
        const same = runs.filter(
          (r) => JSON.stringify([r.stage, r.method, r.seed, r.learningRate, r.steps]) === wanted,
        );
        expect(same.length).toBeLessThanOrEqual(1);
        return same[0];
      },
      kept: async ({ slug }, seed) => {
        const part = (/** @type {string} */ what) =>
          join('docs/results', folder, 'allocations', `${slug}-${seed}-${what}.json`);
        if (!existsSync(join(root, part('search')))) return null;
        return {
          allocation: existsSync(join(root, part('expert')))
            ? { experts: json(part('expert')), ranks: json(part('rank')) }
            : allocationOfRanks(json(part('rank'))),
          record: json(part('search')),
        };
      },
    });
    expect(table.methods.map((m) => m.n)).toEqual(plan.methods.map(() => plan.seeds.length));
    const doc = read('docs/results.md');
    const section = doc.slice(
      doc.indexOf(`<!-- compare ${name} -->`),
      doc.indexOf(`<!-- /compare ${name} -->`),
    );
    expect(section).toContain(tableMarkdown(table));
  },
);
