// Data in the page: formats found and named, progress and cancel, checks before the start,
// previews, choices of columns.
import { writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type OpenPage, openApp } from './launch.ts';
import {
  chooseData,
  demoFolder,
  loadModel,
  makeFolder,
  removeFolders,
  takeNotice,
  textOf,
  violations,
  waitForDevice,
} from './steps.ts';

const prompts = ['Who bit the owl?', 'Where is Ida?', 'Where is Sam?', 'Where is Ida?'];
const answers = ['the cow', 'in the market', 'in the cave', 'in the market'];
const lines = (of: (i: number) => unknown) =>
  prompts.map((_, i) => `${JSON.stringify(of(i))}\n`).join('');
const pairs = lines((i) => ({ prompt: prompts[i], completion: answers[i] }));
const column = (name: string, data: string[]) => ({ name, data, type: 'STRING' as const });
const parquet = new Uint8Array(
  parquetWriteBuffer({ columnData: [column('instruction', prompts), column('output', answers)] }),
);

const formats: [string, string | Uint8Array, string][] = [
  ['pairs.jsonl', pairs, 'prompt–completion'],
  ['pairs.jsonl.gz', gzipSync(pairs), 'prompt–completion'],
  [
    'list.json',
    JSON.stringify(prompts.map((q, i) => ({ instruction: q, output: answers[i] }))),
    'alpaca',
  ],
  [
    'table.tsv',
    `prompt\tcompletion\n${prompts.map((q, i) => `${q}\t${answers[i]}\n`).join('')}`,
    'prompt–completion',
  ],
  ['rows.parquet', parquet, 'alpaca'],
  [
    'choices.jsonl',
    lines((i) => ({ question: prompts[i], choices: ['the cow', 'the owl'], answer: i % 2 })),
    'question–choices–answer',
  ],
  ['notes.md', 'The cow bit the owl.\n\nIda is in the market.\n', 'plain text'],
];

describe.each(['light', 'dark'] as const)('%s', (colorScheme) => {
  let open: OpenPage;
  beforeAll(async () => {
    open = await openApp({
      context: {
        colorScheme,
        reducedMotion: 'reduce',
        locale: colorScheme === 'dark' ? 'de-DE' : 'en-GB',
      },
    });
    await waitForDevice(open.page);
    await loadModel(open.page, demoFolder);
  });
  afterAll(async () => {
    await open.close();
    removeFolders();
  });

  const found = async (name: string, content: string | Uint8Array) => {
    await chooseData(open.page, `${makeFolder('data', { [name]: content })}/${name}`);
    const facts = open.page.getByTestId('data-facts');
    await facts.getByRole('heading', { name }).waitFor({ timeout: 60_000 });
    return facts;
  };

  for (const [name, content, format] of colorScheme === 'light' ? formats : []) {
    test(`${name} is ${format}`, async () => {
      const facts = await found(name, content);
      expect(await textOf(facts.getByTestId('format'))).toBe(`Format: ${format}`);
      expect(
        await facts.getByTestId('sample').locator('[data-mask=trained]').count(),
      ).toBeGreaterThan(0);
    });
  }

  test('checks before the start, previews from row to tokens, and nothing for axe to find', async () => {
    const { page } = open;
    const empty = `${JSON.stringify({ prompt: 'Who?', completion: '' })}\n`;
    const facts = await found('checked.jsonl', pairs + empty);
    const checks = facts.getByTestId('preflight');
    await checks.getByText('Overlap').waitFor();
    const verdict = (name: string) =>
      checks.locator('li', { hasText: name }).getAttribute('data-verdict');
    expect(await verdict('Trained tokens')).toBe('ok');
    expect(await verdict('End token')).toBe('ok');
    expect(await verdict('Duplicates')).toBe('warning');
    expect(await verdict('Empty')).toBe('warning');
    expect(await textOf(facts.getByTestId('epoch'))).toMatch(/^\d+ tokens per epoch, in 3 rows$/);
    await checks.getByText('Row lengths').click();
    expect(await checks.getByTestId('lengths').locator('tbody tr').count()).toBeGreaterThan(0);
    expect(await violations(page)).toEqual([]);
    await facts.getByRole('radio', { name: 'Rendered' }).press(' ');
    expect(await textOf(facts.getByTestId('preview-rendered'))).toContain('<|end|>');
    await facts.getByRole('button', { name: 'Next' }).click();
    await facts.getByRole('radio', { name: 'Row', exact: true }).press(' ');
    expect(JSON.parse(await textOf(facts.getByTestId('preview-row')))).toEqual({
      prompt: prompts[1],
      completion: answers[1],
    });
    expect(await violations(page)).toEqual([]);
  });

  // Reading and progress do not depend on the theme: once is enough.
  test.runIf(colorScheme === 'light')(
    'columns are chosen anew, choices are shown, rows are limited, a refused system prompt is named',
    async () => {
      const { page } = open;
      const odd = lines((i) => ({ prompt: prompts[i], completion: answers[i], other: 'Sam' }));
      const facts = await found('odd.jsonl', odd);
      await facts.getByRole('button', { name: 'Columns' }).click();
      const form = facts.getByTestId('columns');
      await form.getByLabel('Row format').selectOption('question–choices–answer');
      await form.getByLabel('Question').selectOption('prompt');
      await form.getByLabel('Answer').selectOption('completion');
      for (const name of ['completion', 'other'])
        await form.getByRole('checkbox', { name }).check();
      expect(await violations(page)).toEqual([]);
      await form.getByRole('button', { name: 'Read the data' }).press('Enter');
      await facts.getByText('Format: question–choices–answer').waitFor();
      await facts.getByRole('radio', { name: 'Row', exact: true }).press(' ');
      expect(await textOf(facts.getByTestId('preview-choices').locator('li').first())).toBe(
        'the cowright',
      );
      expect(await facts.getByTestId('columns').count()).toBe(0);

      await page.getByLabel('Limit').fill('2');
      await page.getByLabel('Limit').blur();
      await facts.getByText('later rows are not read').waitFor();
      const system = page.getByLabel('System prompt', { exact: true });
      await system.fill('Be brief.');
      await system.blur();
      expect(await takeNotice(page)).toMatch(
        /data\.system.*rejects a system message \(This model knows the roles/,
      );
      expect(await system.inputValue()).toBe(''); // the data is there as it was read
      await page.getByLabel('Limit').fill('');
      await page.getByLabel('Limit').blur();
      await facts.getByText('later rows are not read').waitFor({ state: 'detached' });
    },
  );

  test('several files: those for validation are told by their names, weights change the epoch, the last file to train on stays', async () => {
    const { page } = open;
    const folder = makeFolder('data', {
      'drums.jsonl': pairs,
      'more.jsonl': pairs.replaceAll('Ida', 'Sam'),
      'drums-valid.jsonl': pairs,
    });
    await chooseData(
      page,
      ['drums', 'more', 'drums-valid'].map((name) => `${folder}/${name}.jsonl`),
    );
    const files = page.getByTestId('files');
    await files.waitFor({ timeout: 60_000 });
    const file = (name: string) => files.getByRole('listitem', { name });
    const epoch = page.getByTestId('epoch');
    await epoch.getByText('in 8 rows').waitFor();
    expect(
      await file('drums-valid.jsonl').getByRole('radio', { name: 'Validation' }).isChecked(),
    ).toBe(true);
    const overlap = page.getByTestId('preflight').locator('li', { hasText: 'Overlap' });
    expect(await textOf(overlap)).toContain('4 · of 4 validation rows are also trained on');
    const weight = file('more.jsonl').getByLabel('Weight');
    await weight.fill('2.5');
    await epoch.getByText('in 14 rows').waitFor();
    await weight.fill('0');
    await files.getByText('enter a number above 0, at most 1000').waitFor();
    expect(await page.getByRole('button', { name: 'Start training' }).isDisabled()).toBe(true);
    expect(await violations(page)).toEqual([]);
    await file('more.jsonl').getByText('Validation').click();
    await epoch.getByText('in 4 rows').waitFor();
    await files.getByText('The only training file').waitFor();
    expect(await file('drums.jsonl').getByRole('radio', { name: 'Validation' }).isDisabled()).toBe(
      true,
    );
    expect(await violations(page)).toEqual([]);
    expect(open.errors).toEqual([]);
  });

  test('the memory is shown before the start, and a budget that nothing fits blocks it', async () => {
    const { page } = open;
    await found('estimated.jsonl', pairs);
    const memory = page.getByTestId('memory');
    await memory.getByTestId('memory-estimate').getByText('Weights').waitFor({ timeout: 60_000 });
    const start = page.getByRole('button', { name: /^Start/ });
    expect(await start.isEnabled()).toBe(true);
    await page.getByLabel('Memory budget').fill('1');
    await memory.getByText(/does not fit: it needs at least/).waitFor({ timeout: 60_000 });
    expect(await start.isEnabled()).toBe(false);
    expect(await violations(page)).toEqual([]);
    await page.getByLabel('Memory budget').fill('');
    await memory.getByTestId('memory-estimate').waitFor({ timeout: 60_000 });
    expect(await start.isEnabled()).toBe(true);
    expect(open.errors).toEqual([]);
  });

  // As above.
  test.runIf(colorScheme === 'light')(
    'reading a large file shows its progress and can be cancelled; the page goes on',
    async () => {
      const { page } = open;
      const folder = makeFolder('data', {});
      writeFileSync(`${folder}/large.jsonl`, pairs.repeat(200_000));
      await chooseData(page, `${folder}/large.jsonl`);
      const reading = page.getByTestId('reading');
      await reading.getByText(/rows · .* of 41\.\d MiB · .* left/).waitFor({ timeout: 60_000 });
      await reading.getByRole('button', { name: 'Cancel' }).click();
      await reading.waitFor({ state: 'detached' });
      expect(await page.getByTestId('data-facts').count()).toBe(0);
      expect(await page.getByRole('button', { name: 'Start training' }).count()).toBe(0);
      await found('after.jsonl', pairs);
    },
  );
});
