// The demo with its search as a person does it: one button in a headless Chromium, through search
// and review to the adapter, opened again.
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unzipSync } from 'fflate';
import { chromium } from 'playwright';
import { build, preview } from 'vite';
import { chromiumFlags, ensureChromium } from '../chromium.mjs';
import { optionOf, say } from '../setup.mjs';

/**
 * @typedef {import('playwright').Page} Page
 * @typedef {{ experts: Record<string, number>, ranks: Record<string, number> }} Allocation
 */

export const about =
  'the demo with its search in a headless Chromium: seconds to each stage, heatmaps that move, review, exact match, re-import';

const live = '[data-testid=live]';
const limit = 25 * 60_000;

/**
 * Waits for a phase of the run, saying now and then where it is.
 * @param {Page} page
 * @param {string} wanted
 */
async function waitForPhase(page, wanted) {
  for (let said = 0, end = Date.now() + limit; Date.now() < end; ) {
    const { phase } = await page
      .locator(live)
      .evaluate((/** @type {HTMLElement} */ e) => ({ ...e.dataset }));
    if (phase === wanted) return;
    if (phase === 'failed')
      throw new Error(`The run failed: ${await page.getByTestId('notice').allTextContents()}`);
    if (Date.now() - said > 30_000) {
      said = Date.now();
      say(`${phase}: ${await page.getByTestId('run-bar').locator('p').textContent()}`);
    }
    await page.waitForTimeout(500);
  }
  throw new Error(`The run did not come to ${wanted} in time`);
}

/**
 * Expert counts by cell, from the labels of the heatmap.
 * @param {Page} page
 */
async function counts(page) {
  const cells = page.getByRole('grid', { name: /^Experts/ }).getByRole('gridcell');
  const labels = await cells.evaluateAll((all) =>
    all.map((cell) => cell.getAttribute('aria-label') ?? ''),
  );
  return labels
    .filter((label) => label.includes('expert'))
    .map((label) => label.match(/(\d+) expert/)?.[1]);
}

/** @param {Page} page */
async function exact(page) {
  await page.getByRole('button', { name: 'Check held-out rows' }).click();
  await page.getByTestId('exact').waitFor({ timeout: 10 * 60_000 });
  const { exact: right, rows } = await page
    .locator('[data-testid=exact] [data-which=tuned]')
    .evaluate((/** @type {HTMLElement} */ e) => ({ ...e.dataset }));
  return { right: Number(right), rows: Number(rows), share: Number(right) / Number(rows) };
}

/**
 * Whether the tensors of a zip have the shapes of its allocation/ files, and experts and ranks
 * those of `allocation`.
 * @param {Record<string, Uint8Array>} files
 * @param {Allocation} allocation
 */
function shapesFit(files, allocation) {
  const json = (/** @type {string} */ name) => JSON.parse(new TextDecoder().decode(files[name]));
  const weights = files['adapter/adapter_model.safetensors'];
  const length = Number(new DataView(weights.buffer, weights.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(weights.subarray(8, 8 + length)));
  const { experts, ranks } = allocation;
  const same =
    JSON.stringify([json('allocation/expert.json'), json('allocation/rank.json')]) ===
    JSON.stringify([experts, ranks]);
  const shapes = Object.entries(ranks).every(([key, rank]) => {
    const prefix = `base_model.model.${key}`;
    return (
      header[`${prefix}.lora_A.weight`]?.shape[0] === rank &&
      header[`${prefix}.lora_B.weight`]?.shape[1] === rank
    );
  });
  const tensors = Object.keys(header).filter((key) => key !== '__metadata__').length;
  const wanted = Object.values(experts).reduce((sum, n) => sum + (n > 0 ? 2 * n + 1 : 0), 0);
  return same && shapes && tensors === wanted;
}

/**
 * Options: `--screenshots FOLDER` saves pictures of the page during search, review and training,
 * and at the end.
 * @param {string[]} options
 */
export default async function searchBrowser(options) {
  const executablePath = ensureChromium();
  const outDir = join(tmpdir(), `guilomo-search-browser-${process.pid}`);
  await build({ logLevel: 'warn', build: { outDir, emptyOutDir: true } });
  const server = await preview({
    logLevel: 'warn',
    build: { outDir },
    preview: { host: '127.0.0.1', port: 4279 },
  });
  const browser = await chromium.launch({ executablePath, headless: true, args: chromiumFlags });
  const pictures = optionOf(options, 'screenshots');
  try {
    const page = await (
      await browser.newContext({ viewport: { width: 1280, height: 900 }, acceptDownloads: true })
    ).newPage();
    /** @type {string[]} */
    const errors = [];
    page.on('pageerror', (error) => errors.push(error.message));
    const picture = async (/** @type {string} */ name) => {
      if (pictures)
        await page.locator('#train').screenshot({ path: join(pictures, `${name}.png`) });
    };
    const saved = async (/** @type {string} */ name) => {
      const [file] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('button', { name: `Save ${name}` }).click(),
      ]);
      return JSON.parse(readFileSync(await file.path(), 'utf8'));
    };
    await page.goto(server.resolvedUrls?.local[0] ?? '');
    await page.getByTestId('device').waitFor({ timeout: 60_000 });
    const device = await page.getByTestId('device').locator('span').first().textContent();

    const started = Date.now();
    const seconds = () => Math.round((Date.now() - started) / 100) / 10;
    await page.getByRole('button', { name: 'Watch a search' }).click();
    const reached = (/** @type {string} */ e) =>
      Number(document.querySelector(e)?.getAttribute('data-search-step')) >= 1;
    await page.waitForFunction(reached, live, { timeout: 180_000 });
    const toFirstStep = seconds();
    await page.waitForTimeout(1500); // labels follow the picture at some distance
    const early = await counts(page);
    await picture('search');
    let late = early;
    const isSearching = async () =>
      (await page.locator(live).getAttribute('data-phase')) === 'searching';
    for (let isOn = true; isOn; isOn = await isSearching()) {
      const now = await counts(page).catch(() => []);
      if (now.length === early.length) late = now;
      say(`searching: ${await page.getByTestId('run-bar').locator('p').textContent()}`);
      await page.waitForTimeout(10_000);
    }
    await waitForPhase(page, 'review');
    const toReview = seconds();
    const moved = late.filter((n, i) => n !== early[i]).length;

    // One linear is edited, and it and another are locked; a swap and a fit leave both as they are.
    const grid = page.getByRole('grid', { name: /^Allocation/ });
    const [edited, locked] = ['model.layers.0.self_attn.q_proj', 'model.layers.3.mlp.down_proj'];
    const found = await saved('expert.json');
    await grid.getByRole('gridcell', { name: /^Layer 3, down_proj:/ }).click();
    await page.getByRole('button', { name: 'Lock this linear' }).click();
    await grid.getByRole('gridcell', { name: /^Layer 0, q_proj:/ }).click();
    const wanted = found[edited] === 3 ? 2 : 3;
    const field = page.getByRole('textbox', { name: 'Experts here' });
    await field.fill(String(wanted));
    await field.press('Enter');
    await page.getByRole('button', { name: 'Lock this linear' }).click();
    const parameters = (await page.getByTestId('review').getAttribute('data-parameters')) ?? '';
    await page.getByLabel('Parameter count', { exact: true }).fill(parameters);
    await page.getByRole('button', { name: 'Fit', exact: true }).click();
    const allocation = { experts: await saved('expert.json'), ranks: await saved('rank.json') };
    const held =
      allocation.experts[edited] === wanted && allocation.experts[locked] === found[locked];
    await picture('review');
    const inReview = seconds() - toReview;
    await page.getByRole('button', { name: 'Train with this allocation' }).click();
    await page.getByTestId('routing-heatmap').waitFor({ timeout: 180_000 });
    await picture('training');
    await waitForPhase(page, 'finished');
    const toEnd = seconds();

    const after = await exact(page);
    await page.getByRole('button', { name: /^Prepare/ }).click();
    const link = page.getByTestId('download');
    await link.waitFor({ timeout: 60_000 });
    const [file] = await Promise.all([page.waitForEvent('download'), link.click()]);
    const zip = readFileSync(await file.path());
    const exactly = shapesFit(unzipSync(zip), allocation);
    const buffer = { name: 'adapter.zip', mimeType: 'application/zip', buffer: zip };
    await page.locator('[data-testid=open-adapter] input[type=file]').setInputFiles(buffer);
    await page.getByTestId('opened').waitFor({ timeout: 60_000 });
    const reopened = await exact(page);
    await picture('end');
    const passed =
      errors.length === 0 &&
      moved > 0 &&
      held &&
      exactly &&
      after.share >= 0.9 &&
      reopened.right === after.right;
    return {
      passed,
      device,
      toFirstStep,
      toReview,
      inReview,
      toEnd,
      moved,
      of: early.length,
      held,
      exactly,
      after,
      reopened,
      errors,
    };
  } finally {
    await browser.close();
    await server.close();
    rmSync(outDir, { recursive: true, force: true });
  }
}
