// What the program says keeps to the words of CONTRIBUTING.md, and the list of sentences has them all.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { allSentences, sentencesOf } from './sentences.mjs';
import { root } from './setup.mjs';

/** The phrases in the table "avoid | write" of CONTRIBUTING.md. */
function avoided() {
  const lines = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8').split('\n');
  const head = lines.findIndex((line) => /^ *\| avoid +\| write +\|$/.test(line));
  const body = lines.slice(head + 2);
  return body
    .slice(
      0,
      body.findIndex((line) => !/^ *\|/.test(line)),
    )
    .flatMap((line) => line.split('|')[1].split(','))
    .map((phrase) => phrase.trim());
}

test('no sentence has a phrase that CONTRIBUTING.md avoids', () => {
  const phrases = avoided();
  expect(phrases.length).toBeGreaterThan(20);
  const bad = new RegExp(`(?<![\\w’'-])(${phrases.join('|')})(?![\\w’'-])`, 'i');
  const all = allSentences();
  expect(all.flatMap(({ sentences }) => sentences).length).toBeGreaterThan(1000);
  const found = all.flatMap(({ path, sentences }) =>
    sentences.flatMap((text) => {
      const phrase = bad.exec(text)?.[1];
      return phrase === undefined ? [] : [`${path}: "${phrase}" in "${text}"`];
    }),
  );
  expect(found).toEqual([]);
});

test('a list has the texts, labels, templates and strings of a source, and no class names', () => {
  const source = `const look = 'flex min-w-0 items-center gap-2';
const message = (n) => \`\${n} rows were left out.\`;
const path = './some/file.ts';
const wgsl = 'let a = b + c;\\n';
const note = 'A run is under way: let it end.';
export const Part = () => (
  <p className="mt-2 grow text-muted" title="Name of the model" data-note="not read by people">
    Choose a
    model folder <b className={look}>{message(3)}</b>
  </p>
);
`;
  expect(sentencesOf('part.tsx', source)).toEqual([
    '… rows were left out.',
    'A run is under way: let it end.',
    'Name of the model',
    'Choose a model folder',
  ]);
});
