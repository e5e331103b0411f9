// A rank search for plain LoRA on the page: its one map, the review of ranks, training with exactly
// these, and the adapter as PEFT has it.
import { readFileSync } from 'node:fs';
import { unzipSync } from 'fflate';
import { afterAll, afterEach, expect, test } from 'vitest';
import { bytesSource } from '../src/data/source.ts';
import { openSafetensors } from '../src/data/weights/safetensors.ts';
import { type OpenPage, openApp } from './launch.ts';
import { cell, cells, prepare, saved, startSearch } from './search-steps.ts';
import {
  download,
  makeFolder,
  removeFolders,
  takeNotice,
  violations,
  waitForPhase,
  waitForSearchStep,
} from './steps.ts';

let open: OpenPage | null = null;
afterEach(async () => {
  await open?.close();
  open = null;
});
afterAll(removeFolders);

const q0 = 'model.layers.0.self_attn.q_proj';
const down1 = 'model.layers.1.mlp.down_proj';

test('a rank for each linear is found, reviewed, trained with and exported as PEFT’s', async () => {
  open = await openApp();
  const { page, errors } = open;
  await prepare(
    page,
    { Rank: '6', 'Search length': '60', Length: '12', Budget: '0.5', 'Validate every': '' },
    ['Plain LoRA', 'Allow closed linears', 'Wait for me at the review'],
  );
  expect(await page.getByText('Estimator', { exact: true }).count()).toBe(0);
  await startSearch(page);
  await waitForSearchStep(page, 4);
  await page.getByRole('button', { name: 'Pause' }).click();
  await waitForPhase(page, 'paused');
  expect(await page.getByRole('grid').count()).toBe(1);
  expect((await cells(page, /^Ranks/)).get('Layer 0, q_proj')).toMatch(/rank \d, \d+ % sure/);
  await page.getByRole('button', { name: 'Resume' }).click();

  await waitForPhase(page, 'review');
  await cell(page, 'Layer 1, down_proj').click();
  const rank = page.getByRole('textbox', { name: 'Rank here' });
  await rank.fill('0');
  await rank.press('Enter');
  await page.getByRole('button', { name: 'Lock this linear' }).click();
  await cell(page, 'Layer 0, q_proj').click();
  await rank.fill('5');
  await rank.press('Enter');
  const ranks = await saved(page, 'Save rank.json');
  expect(Object.keys(ranks)).toHaveLength(14);
  expect([ranks[q0], ranks[down1]]).toEqual([5, 0]);
  expect(await page.getByRole('button', { name: 'Save expert.json' }).count()).toBe(0);
  expect(await violations(page)).toEqual([]);

  // All closed there is nothing to train, and the review says so; files bring the ranks back.
  const importInput = page.locator('[data-testid=review] input[type=file]');
  const files = makeFolder('ranks', {
    'closed-rank.json': JSON.stringify(Object.fromEntries(Object.keys(ranks).map((p) => [p, 0]))),
    'rank.json': JSON.stringify(ranks),
    'bad-rank.json': JSON.stringify({ ...ranks, [q0]: 7 }),
  });
  await importInput.setInputFiles(`${files}/closed-rank.json`);
  const train = page.getByRole('button', { name: 'Train with this allocation' });
  await page.getByTestId('countdown').getByText('Every linear is closed').waitFor();
  expect(await train.isDisabled()).toBe(true);
  await importInput.setInputFiles(`${files}/bad-rank.json`);
  expect(await takeNotice(page)).toContain(
    `bad-rank.json: "${q0}" is 7, not a whole number from 0 (closed) to 6`,
  );
  await importInput.setInputFiles(`${files}/rank.json`);
  await page.getByTestId('countdown').getByText('Waiting for you.').waitFor();
  expect(await saved(page, 'Save rank.json')).toEqual(ranks);

  await train.click();
  await waitForPhase(page, 'finished');
  const zip = unzipSync(readFileSync(await download(page)));
  const json = (name: string) => JSON.parse(new TextDecoder().decode(zip[name]));
  expect(Object.keys(zip).sort()).toEqual([
    'adapter/adapter_config.json',
    'adapter/adapter_model.safetensors',
    'allocation/rank.json',
    'config.json',
    'gsv.jsonl',
    'metrics.jsonl',
  ]);
  expect(json('allocation/rank.json')).toEqual(ranks);
  const isOpen = ([, r]: [string, number]) => r > 0;
  const all = Object.fromEntries(Object.entries(ranks).filter(isOpen));
  const config = json('adapter/adapter_config.json');
  expect(config).toMatchObject({ peft_type: 'LORA', r: 6, rank_pattern: all });
  expect(config.target_modules.sort()).toEqual(Object.keys(all).sort());
  expect(config.alpha_pattern[q0]).toBeCloseTo((config.lora_alpha * 5) / 6, 12);
  const weights = zip['adapter/adapter_model.safetensors'] as Uint8Array<ArrayBuffer>;
  const { entries } = await openSafetensors(bytesSource(weights, 'weights'));
  expect(entries.size).toBe(2 * Object.keys(all).length);
  expect(entries.get(`base_model.model.${q0}.lora_A.weight`)?.shape[0]).toBe(5);
  expect(errors).toEqual([]);
});
