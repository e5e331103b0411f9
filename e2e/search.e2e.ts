// The search on the page: heatmaps that change, the review, training with exactly what was
// reviewed, and the adapter opened again.
import { readFileSync } from 'node:fs';
import { unzipSync } from 'fflate';
import { afterAll, afterEach, expect, test } from 'vitest';
import { bytesSource } from '../src/data/source.ts';
import { openSafetensors } from '../src/data/weights/safetensors.ts';
import { type OpenPage, openApp } from './launch.ts';
import { cell, cells, prepare, saved, sizes, startSearch } from './search-steps.ts';
import {
  demoFolder,
  download,
  fill,
  loadModel,
  makeFolder,
  removeFolders,
  takeNotice,
  textOf,
  violations,
  waitForPhase,
  waitForSearchStep,
  waitForStep,
} from './steps.ts';

let open: OpenPage | null = null;
afterEach(async () => {
  await open?.close();
  open = null;
});
afterAll(removeFolders);

test('search, review with an edited and a locked cell, training with exactly that, export, and the adapter opened again', async () => {
  open = await openApp();
  const { page, errors } = open;
  await prepare(
    page,
    { ...sizes, 'Search length': '90', Length: '24', Budget: '0.4', 'Validate every': '' },
    ['Allow closed linears', 'Wait for me at the review'],
  );
  expect(await textOf(page.getByTestId('ready'))).toMatch(
    /The search trains .* parameters.*It decides how many the adapter will have/,
  );
  await startSearch(page);

  await waitForSearchStep(page, 4);
  await page.getByRole('button', { name: 'Pause' }).click();
  await waitForPhase(page, 'paused');
  const at = await page.getByTestId('live').getAttribute('data-search-step');
  const early = await cells(page, /^Experts/);
  expect(await page.getByTestId('live').getAttribute('data-search-step')).toBe(at);
  expect(early.size).toBe(14);
  await page.getByRole('button', { name: 'Resume' }).click();
  await waitForSearchStep(page, 70);
  expect(await textOf(page.getByTestId('live'))).toMatch(/Search \d+ %: \d+ of 14 linears settled/);
  await page.getByRole('button', { name: 'Pause' }).click();
  await waitForPhase(page, 'paused');
  const late = await cells(page, /^Experts/);
  const moved = [...late].filter(
    ([name, label]) =>
      early.get(name)?.match(/(\d+) expert/)?.[1] !== label.match(/(\d+) expert/)?.[1],
  );
  expect(moved.length).toBeGreaterThan(0);
  await page.getByRole('button', { name: 'Resume' }).click();

  // Review: one linear is edited, it and another are locked, the rest is fitted; the locked ones
  // stay.
  await waitForPhase(page, 'review');
  expect(await textOf(page.getByTestId('countdown'))).toBe('Waiting for you.');
  const q0 = 'model.layers.0.self_attn.q_proj';
  const down1 = 'model.layers.1.mlp.down_proj';
  const before = await saved(page, 'Save expert.json');
  await cell(page, 'Layer 1, down_proj').click();
  await page.getByRole('button', { name: 'Lock this linear' }).click();
  await cell(page, 'Layer 0, q_proj').click();
  const wanted = before[q0] === 3 ? 2 : 3;
  const experts = page.getByRole('textbox', { name: 'Experts here' });
  await experts.fill(String(wanted));
  await experts.press('Enter');
  const rank = page.getByRole('textbox', { name: 'Rank 1' });
  await rank.fill('2');
  await rank.press('Enter');
  await page.getByRole('button', { name: 'Lock this linear' }).click();
  expect(await experts.isDisabled()).toBe(true);
  const count = page.getByLabel('Parameter count', { exact: true });
  await count.fill('99999999');
  await page.getByRole('button', { name: 'Fit', exact: true }).click();
  expect(await textOf(page.getByTestId('review'))).toMatch(
    /cannot be reached: with the locked linears .* the total can be \d+ to \d+/,
  );
  await count.fill('6000');
  await page.getByRole('button', { name: 'Fit', exact: true }).click();
  const total = Number(await page.getByTestId('review').getAttribute('data-parameters'));
  expect(Math.abs(total - 6000)).toBeLessThan(300);
  const kept = {
    experts: await saved(page, 'Save expert.json'),
    ranks: await saved(page, 'Save rank.json'),
  };
  expect([kept.experts[q0], kept.ranks[`${q0}.experts.0`], kept.experts[down1]]).toEqual([
    wanted,
    2,
    before[down1],
  ]);

  // A swap that is undone, and files that do not fit.
  await page.getByLabel('Swap in').selectOption('random');
  await page.getByRole('button', { name: 'Swap', exact: true }).click();
  expect((await saved(page, 'Save expert.json'))[q0]).toBe(wanted);
  await page.getByRole('button', { name: 'Undo' }).click();
  expect(await saved(page, 'Save rank.json')).toEqual(kept.ranks);
  const bad = makeFolder('allocation', {
    'expert.json': JSON.stringify({ ...kept.experts, [q0]: 9 }),
    'rank.json': JSON.stringify(kept.ranks),
  });
  const importInput = page.locator('[data-testid=review] input[type=file]');
  await importInput.setInputFiles([`${bad}/expert.json`, `${bad}/rank.json`]);
  expect(await takeNotice(page)).toContain(
    `expert.json: "${q0}" is 9, not a whole number from 0 to 4`,
  );

  await page.getByRole('button', { name: 'Train with this allocation' }).click();
  await waitForStep(page, 5);
  const routing = page.getByTestId('routing-heatmap');
  await routing.waitFor();
  const routed = await cells(page, /^Routing/);
  expect(routed.get('Layer 0, q_proj')?.match(/expert \d/g)).toHaveLength(wanted);
  await waitForPhase(page, 'finished');
  expect(await page.getByTestId('stages').locator('[data-state=done]').count()).toBe(4);

  await page.getByRole('button', { name: 'Check held-out rows' }).click();
  await page.getByTestId('exact').waitFor({ timeout: 120_000 });
  const zip = await download(page);
  const files = unzipSync(readFileSync(zip));
  const text = (name: string) => new TextDecoder().decode(files[name]);
  const lines = (name: string) =>
    text(name)
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  expect(Object.keys(files).sort()).toEqual([
    'adapter/adapter_config.json',
    'adapter/adapter_model.safetensors',
    'allocation/expert.json',
    'allocation/rank.json',
    'config.json',
    'gsv.jsonl',
    'metrics.jsonl',
  ]);
  expect({
    experts: JSON.parse(text('allocation/expert.json')),
    ranks: JSON.parse(text('allocation/rank.json')),
  }).toEqual(kept);
  expect(JSON.parse(text('adapter/adapter_config.json'))).toMatchObject(kept);
  expect(JSON.parse(text('config.json'))).toMatchObject({
    allocation: 'search',
    search: { steps: 90, budget: 0.4, closable: true },
  });
  const history = lines('gsv.jsonl');
  expect(history.map((line) => line.step)).toEqual(Array.from({ length: 91 }, (_, i) => i));
  expect(Object.keys(history[0])).toEqual(['step', 'values']);
  expect(history[1].upper_loss).toBeGreaterThan(0);
  expect(history[90].values[`base_model.model.${q0}.gsv_expert`]).toHaveLength(5);
  const stages = lines('metrics.jsonl').map((line) => line.stage);
  expect([
    stages.filter((s) => s === 'search').length,
    stages.filter((s) => s === 'train').length,
  ]).toEqual([45, 25]);

  // The tensors have exactly the shapes of the reviewed allocation.
  const weights = bytesSource(
    files['adapter/adapter_model.safetensors'] as Uint8Array<ArrayBuffer>,
    'weights',
  );
  const { entries } = await openSafetensors(weights);
  let tensors = 0;
  for (const [path, n] of Object.entries(kept.experts)) {
    for (let i = 0; i < n; i++) {
      const r = kept.ranks[`${path}.experts.${i}`];
      expect(
        entries.get(`base_model.model.${path}.experts.${i}.lora_A.weight`)?.shape[0],
        path,
      ).toBe(r);
      expect(
        entries.get(`base_model.model.${path}.experts.${i}.lora_B.weight`)?.shape[1],
        path,
      ).toBe(r);
    }
    if (n > 0) expect(entries.get(`base_model.model.${path}.router.weight`)?.shape[0]).toBe(n);
    tensors += n > 0 ? 2 * n + 1 : 0;
  }
  expect(entries.size).toBe(tensors);

  // Opened again it is the tuned model; beside another base model it is refused, and both are
  // named.
  const tuned = await page
    .locator('[data-testid=exact] [data-which=tuned]')
    .getAttribute('data-exact');
  const chooser = page.locator('[data-testid=open-adapter] input[type=file]');
  const bytes = new Uint8Array(readFileSync(zip));
  const named = makeFolder('zips', { 'mine.zip': bytes, 'again.zip': bytes });
  await chooser.setInputFiles(`${named}/mine.zip`);
  await page.getByTestId('opened').waitFor({ timeout: 60_000 });
  expect(await textOf(page.getByTestId('opened'))).toContain('mine.zip is the tuned model');
  await page.getByRole('button', { name: 'Check held-out rows' }).click();
  await page.getByTestId('exact').waitFor({ timeout: 120_000 });
  expect(
    await page.locator('[data-testid=exact] [data-which=tuned]').getAttribute('data-exact'),
  ).toBe(tuned);
  expect(await page.getByTestId('held-out').locator('tbody tr').count()).toBe(2);
  await loadModel(page, demoFolder);
  await page
    .getByTestId('model-facts')
    .getByRole('heading', { name: 'demo' })
    .waitFor({ timeout: 60_000 });
  await chooser.setInputFiles(`${named}/again.zip`);
  expect(await takeNotice(page)).toMatch(
    /made for the base model “train-moe”; the model here is “demo”/,
  );
  expect(errors).toEqual([]);
});

test('a search that is stopped goes to its review, which says so and can be discarded', async () => {
  open = await openApp();
  const { page, errors } = open;
  await prepare(page, { ...sizes, 'Search length': '5000', Length: '6' });
  await startSearch(page);
  await waitForSearchStep(page, 3);
  await page.getByRole('button', { name: 'Stop the search' }).click();
  await waitForPhase(page, 'review');
  expect(await textOf(page.getByTestId('review'))).toMatch(
    /so far, at step \d+ of 5000.*stopped early/,
  );
  expect(await textOf(page.getByTestId('countdown'))).toBe('Waiting for you.');
  await page.getByRole('button', { name: 'Discard' }).click();
  await waitForPhase(page, 'stopped');
  expect(await page.getByRole('button', { name: /^Prepare/ }).count()).toBe(0);

  // The search alone: its review has an allocation to take home, and no training.
  await page.getByTestId('settings').locator('> summary').click();
  await fill(page, { 'Search length': '12' });
  await page.getByText('Train after the search', { exact: true }).click();
  await startSearch(page);
  await waitForPhase(page, 'review');
  expect(await page.getByRole('button', { name: 'Train with this allocation' }).count()).toBe(0);
  expect(Object.keys(await saved(page, 'Save expert.json'))).toHaveLength(14);
  await page.getByRole('button', { name: 'End the run' }).click();
  await waitForPhase(page, 'finished');
  expect(errors).toEqual([]);
});

test('an untouched review goes on by itself, with what was found; one that is asked to wait does not', async () => {
  open = await openApp();
  const { page, errors } = open;
  await prepare(page, { ...sizes, 'Search length': '12', Length: '6' });
  await page.clock.install();
  await startSearch(page);
  await waitForPhase(page, 'review');
  const countdown = page.getByTestId('countdown');
  expect(await textOf(countdown)).toMatch(/Training follows in \d+ s/);
  await page.clock.fastForward('00:30');
  await waitForPhase(page, 'finished', 90_000);

  await page.getByTestId('settings').locator('> summary').click();
  await page.getByRole('button', { name: 'Start a new run' }).click();
  await waitForPhase(page, 'review');
  const wait = page.getByRole('button', { name: 'Wait', exact: true });
  await wait.focus();
  await page.keyboard.press('Enter');
  expect(await textOf(countdown)).toBe('Waiting for you.');
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe(
    'Train with this allocation',
  );
  await page.clock.fastForward('01:00');
  expect(await page.getByTestId('live').getAttribute('data-phase')).toBe('review');
  await page.keyboard.press('Enter');
  await waitForPhase(page, 'finished');
  expect(errors).toEqual([]);
});

for (const colorScheme of ['light', 'dark'] as const) {
  test(`axe finds nothing, ${colorScheme}, and nothing sticks out at phone width: search settings, search, review, training`, async () => {
    open = await openApp({ context: { colorScheme, reducedMotion: 'reduce' } });
    const { page } = open;
    const check = async (where: string) => {
      expect(await violations(page), where).toEqual([]);
      await page.setViewportSize({ width: 360, height: 740 });
      await expect
        .poll(() => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth), {
          message: where,
          timeout: 5000,
        })
        .toBeLessThanOrEqual(0);
      await page.setViewportSize({ width: 1280, height: 800 });
    };
    await prepare(page, { ...sizes, 'Search length': '5000', Length: '6', Budget: '2' }, [
      'Wait for me at the review',
      'Allow closed linears',
    ]);
    await check('settings');
    await fill(page, { Budget: '0.4' });
    await startSearch(page);
    await waitForSearchStep(page, 12);
    await page.getByRole('button', { name: 'Pause' }).click();
    await waitForPhase(page, 'paused');
    await page
      .getByRole('grid', { name: /^Experts/ })
      .getByRole('gridcell', { name: /^Layer 0, v_proj/ })
      .click();
    await check('search');
    await page.getByRole('button', { name: 'Stop the search' }).click();
    await waitForPhase(page, 'review');
    await cell(page, 'Layer 0, v_proj').click();
    await check('review');
    await page.getByRole('button', { name: 'Train with this allocation' }).click();
    await waitForPhase(page, 'finished');
    await page.getByText('How the allocation changed').click();
    await page.getByTestId('search-live').waitFor();
    await check('training');
  });
}
