// Checks go by what a row is, never by how it is described.
import { expect, test } from 'vitest';
import { type Dataset, leftOut } from '../../data/dataset/dataset.ts';
import { readDataset } from '../../data/dataset/formats.ts';
import { loadTokenizer } from '../../data/text/tokenizer.ts';
import { goldenText, textSource, tokenizerFolder } from '../../testing/text-fixture.ts';
import { dataChecks, fingerprint } from './data-checks.ts';

test('no check or count depends on the words of a reason', async () => {
  const tokenizer = await loadTokenizer(tokenizerFolder(goldenText.templates.chatml.template));
  const rows = [
    { prompt: 'a', completion: 'b' },
    { prompt: 'a', completion: ' ' },
    { text: '' },
    { prompt: 'a', completion: 4 },
    { messages: [] },
    { question: 'x', choices: ['a', ''], answer: 'A' },
  ];
  const text = rows.map((row) => JSON.stringify(row)).join('\n');
  const dataset = await readDataset([textSource('d.jsonl', `${text}\nno JSON is empty\n`)], {
    tokenizer,
    vocab: tokenizer.vocabSize + 1,
    data: { maxLength: 64, completionOnly: true, template: 'auto' },
  });
  const reworded: Dataset = { ...dataset, bad: dataset.bad.map((b) => ({ ...b, reason: 'x' })) };
  const prints = Float64Array.from(dataset.examples, fingerprint);
  const checks = dataChecks(dataset, prints, tokenizer);
  expect(checks).toMatchObject({ empty: 2, ends: 1 });
  expect(leftOut(reworded)).toEqual({ 'not-json': 1, choices: 1, empty: 2, field: 1, messages: 1 });
  expect(dataChecks(reworded, prints, tokenizer)).toEqual(checks);
});
