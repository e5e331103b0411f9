// Input that cannot be used: each case shows a clear message, and the page goes on working.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type OpenPage, openApp } from './launch.ts';
import {
  chooseData,
  chooseModel,
  demoFolder,
  loadModel,
  makeFolder,
  nanoFolder,
  removeFolders,
  takeNotice,
  textOf,
  waitForDevice,
} from './steps.ts';

let open: OpenPage;
beforeAll(async () => {
  open = await openApp();
  await waitForDevice(open.page);
});
afterAll(async () => {
  await open.close();
  removeFolders();
});

const weights = readFileSync(`${nanoFolder}/model.safetensors`);
const config = JSON.parse(readFileSync(`${nanoFolder}/config.json`, 'utf8'));
const nano = {
  'config.json': JSON.stringify(config),
  'model.safetensors': new Uint8Array(weights),
};
const without = (key: string) =>
  Object.fromEntries(Object.entries(config).filter(([k]) => k !== key));
const lying = new Uint8Array(weights);
new DataView(lying.buffer).setBigUint64(0, 2n ** 40n, true);

const models: [string, Record<string, string | Uint8Array>, RegExp][] = [
  ['a broken config.json', { ...nano, 'config.json': '{"hidden_size": 32,' }, /config\.json/],
  ['no config.json', { 'model.safetensors': nano['model.safetensors'] }, /no config\.json/],
  [
    'an unknown architecture',
    { ...nano, 'config.json': JSON.stringify({ ...config, architectures: ['MambaForCausalLM'] }) },
    /MambaForCausalLM/,
  ],
  [
    'impossible head counts',
    { ...nano, 'config.json': JSON.stringify({ ...config, num_key_value_heads: 3 }) },
    /num_key_value_heads 3/,
  ],
  [
    'no rope_theta',
    { ...nano, 'config.json': JSON.stringify(without('rope_parameters')) },
    /rope_theta/,
  ],
  [
    'truncated weights',
    { ...nano, 'model.safetensors': new Uint8Array(weights.subarray(0, 5000)) },
    /model\.safetensors/,
  ],
  [
    'empty weights',
    { ...nano, 'model.safetensors': new Uint8Array(0) },
    /model\.safetensors: the file is empty/,
  ],
  [
    'a header lying about its length',
    { ...nano, 'model.safetensors': lying },
    /model\.safetensors/,
  ],
  ['no weights', { 'config.json': nano['config.json'] }, /model\.safetensors/],
  [
    'weights of other shapes',
    { ...nano, 'config.json': JSON.stringify({ ...config, vocab_size: 98 }) },
    /shape \[97, 32\]/,
  ],
  ['a broken tokenizer.json', { ...nano, 'tokenizer.json': '{"model": 3}' }, /tokenizer\.json/],
];

for (const [name, files, message] of models) {
  test(`model: ${name}`, async () => {
    await chooseModel(open.page, makeFolder('some-model', files));
    expect(await takeNotice(open.page)).toMatch(message);
    expect(await open.page.getByTestId('model-facts').count()).toBe(0);
  });
}

test('after all of them a model can be loaded', async () => {
  await loadModel(open.page, demoFolder);
  expect(await textOf(open.page.getByTestId('model-facts'))).toContain('784');
});

test('weights that are no numbers are refused after a first pass, and the model before stays and answers', async () => {
  const { page } = open;
  const length = Number(weights.readBigUInt64LE(0));
  const [start, end] = JSON.parse(weights.toString('utf8', 8, 8 + length))['model.norm.weight']
    .data_offsets;
  const damaged = new Uint8Array(weights);
  damaged.fill(0xff, 8 + length + start, 8 + length + end);
  await chooseModel(page, makeFolder('damaged', { ...nano, 'model.safetensors': damaged }));
  expect(await takeNotice(page)).toMatch(
    /damaged: a first forward pass gives numbers that are not finite/,
  );
  expect(await textOf(page.getByTestId('model-facts'))).toContain('784');
  await page.getByLabel('Prompt', { exact: true }).fill('Who bit the owl?');
  await page.getByRole('button', { name: 'Ask' }).click();
  await page.locator('[data-testid=answer-base] [data-done=true]').waitFor({ timeout: 60_000 });
});

const bytes = (...values: number[]) => new Uint8Array(values);
const data: [string, string, string | Uint8Array, RegExp][] = [
  ['an empty file', 'rows.jsonl', '', /rows\.jsonl: the file is empty/],
  [
    'a binary file',
    'rows.jsonl',
    bytes(0x89, 0x50, 0x4e, 0x47, 0, 0, 0, 1, 255, 254),
    /rows\.jsonl/,
  ],
  [
    'no row that can be used',
    'rows.jsonl',
    '{"prompt": 1, "completion": 2}\nnot json\n',
    /none of 2 rows/,
  ],
  ['a kind that is not known', 'rows.bin', 'abc', /unknown file type/],
  [
    'ids outside the vocabulary',
    'rows.jsonl',
    '{"input_ids": [1, 5000], "labels": [-100, 5000]}',
    /outside the vocabulary \(0 to 783\)/,
  ],
  [
    'labels of another length',
    'rows.jsonl',
    '{"input_ids": [1, 2, 3], "labels": [1, 2]}',
    /"labels" has 2 entries/,
  ],
  [
    'no trained token',
    'rows.jsonl',
    '{"input_ids": [1, 2, 3], "labels": [-100, -100, -100]}',
    /no token carries loss/,
  ],
];

for (const [name, file, content, message] of data) {
  test(`data: ${name}`, async () => {
    await chooseData(open.page, `${makeFolder('data', { [file]: content })}/${file}`);
    expect(await takeNotice(open.page)).toMatch(message);
    expect(await open.page.getByTestId('data-facts').count()).toBe(0);
  });
}

test('a table with other headers, a byte order mark, CRLF and a ragged row: columns are asked for, the bad row is named', async () => {
  const table =
    '\ufeffquestion,answer,topic\r\n"The cow bit the owl. Who bit the owl?",the cow,x\r\nWho is,it\r\nWhere is Ida?,in the market,y\r\n';
  const { page } = open;
  await chooseData(page, `${makeFolder('data', { 'table.csv': table })}/table.csv`);
  await page.getByTestId('columns').waitFor();
  await page.getByLabel('Prompt', { exact: true }).first().selectOption('question');
  await page.getByLabel('Completion', { exact: true }).selectOption('answer');
  await page.getByRole('button', { name: 'Read the data' }).click();
  const facts = page.getByTestId('data-facts');
  await facts.waitFor();
  expect(await textOf(facts)).toContain('2 can be used');
  const bad = await textOf(page.getByTestId('bad-rows'));
  expect(bad).toContain('it has 2 fields, but the header has 3');
  expect(bad).toContain('Who is,it');
});

test('rows longer than the limit are counted, and the limit can be changed', async () => {
  const { page } = open;
  const row = JSON.stringify({
    prompt: 'The owl has a red drum. Where?',
    completion: `in the market ${'and in the cave '.repeat(30)}`,
  });
  await chooseData(page, `${makeFolder('data', { 'long.jsonl': `${row}\n` })}/long.jsonl`);
  await page.getByText('long.jsonl').first().waitFor();
  await page.getByLabel('Max length', { exact: true }).fill('nonsense');
  expect(await textOf(page.locator('#data'))).toContain('“nonsense” is not a number');
  await page.getByLabel('Max length', { exact: true }).fill('20');
  await page.getByLabel('Max length', { exact: true }).blur();
  await page.getByTestId('data-facts').getByText('longest row: 20 tokens').waitFor();
});

test('settings that do not fit the data are said when the run starts, and nothing hangs', async () => {
  const { page } = open;
  await page.getByRole('button', { name: 'Start training' }).click(); // one row, batch 16
  expect(await takeNotice(page)).toMatch(/training rows, fewer than/);
  expect(await textOf(page.getByTestId('ready'))).toContain('Ready.');
  expect(open.errors).toEqual([]);
});
