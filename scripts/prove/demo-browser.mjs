// The demo as a person does it: one button in a headless Chromium, to the trained adapter, the
// held-out table and the zip.
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright';
import { build, preview } from 'vite';
import { chromiumFlags, ensureChromium } from '../chromium.mjs';
import { optionOf, say } from '../setup.mjs';

/** @typedef {import('playwright').Page} Page */

export const about =
  'the demo in a headless Chromium: minutes from button to adapter, exact match from the held-out table';

const minutesWanted = 8;
const live = '[data-testid=live]';

/**
 * Waits for the run to end, saying now and then where it is.
 * @param {Page} page
 * @param {number} limit
 */
async function waitForEnd(page, limit) {
  for (let last = -1, end = Date.now() + limit; Date.now() < end; ) {
    const { phase, step } = await page
      .locator(live)
      .evaluate((/** @type {HTMLElement} */ e) => ({ ...e.dataset }));
    if (phase === 'finished') return;
    if (phase === 'failed')
      throw new Error(`The run failed: ${await page.getByTestId('notice').allTextContents()}`);
    if (Math.floor(Number(step) / 20) > last) {
      last = Math.floor(Number(step) / 20);
      say(`step ${step}: ${await page.getByTestId('run-bar').locator('p').textContent()}`);
    }
    await page.waitForTimeout(500);
  }
  throw new Error('The run did not end in time');
}

/**
 * @param {Page} page
 * @param {'base' | 'tuned'} which
 */
async function exact(page, which) {
  const { exact: right, rows } = await page
    .locator(`[data-testid=exact] [data-which=${which}]`)
    .evaluate((/** @type {HTMLElement} */ e) => ({ ...e.dataset }));
  return { right: Number(right), rows: Number(rows), share: Number(right) / Number(rows) };
}

/**
 * Options: `--screenshot FILE` saves a picture of the page at the end.
 * @param {string[]} options
 */
export default async function demoBrowser(options) {
  const executablePath = ensureChromium();
  const outDir = join(tmpdir(), `guilomo-demo-browser-${process.pid}`);
  await build({ logLevel: 'warn', build: { outDir, emptyOutDir: true } });
  const server = await preview({
    logLevel: 'warn',
    build: { outDir },
    preview: { host: '127.0.0.1', port: 4277 },
  });
  const browser = await chromium.launch({ executablePath, headless: true, args: chromiumFlags });
  try {
    const page = await (
      await browser.newContext({ viewport: { width: 1280, height: 900 }, acceptDownloads: true })
    ).newPage();
    /** @type {string[]} */
    const errors = [];
    page.on('pageerror', (error) => errors.push(error.message));
    await page.goto(server.resolvedUrls?.local[0] ?? '');
    await page.getByTestId('device').waitFor({ timeout: 60_000 });
    const device = await page.getByTestId('device').locator('span').first().textContent();

    const started = Date.now();
    const seconds = () => Math.round((Date.now() - started) / 100) / 10;
    await page.getByRole('button', { name: 'Try the demo' }).click();
    const reached = (/** @type {string} */ e) =>
      Number(document.querySelector(e)?.getAttribute('data-step')) >= 1;
    await page.waitForFunction(reached, live, { timeout: 180_000 });
    const toFirstStep = seconds();
    await waitForEnd(page, 20 * 60_000);
    const toEnd = seconds();
    await page.getByRole('button', { name: /^Prepare/ }).click();
    const link = page.getByTestId('download');
    await link.waitFor({ timeout: 60_000 });
    const [file] = await Promise.all([page.waitForEvent('download'), link.click()]);
    await file.path();
    const toZip = seconds();
    say(`zip after ${toZip} s; now the held-out rows`);

    await page.getByRole('button', { name: 'Ask both' }).click();
    await page.locator('[data-testid=answer-tuned] [data-done=true]').waitFor({ timeout: 120_000 });
    await page.getByRole('button', { name: 'Check held-out rows' }).click();
    await page.getByTestId('exact').waitFor({ timeout: 10 * 60_000 });
    const before = await exact(page, 'base');
    const after = await exact(page, 'tuned');
    const picture = optionOf(options, 'screenshot');
    if (picture) {
      await page.setViewportSize({ width: 1280, height: 1560 });
      await page.locator('h1').click(); // takes the focus off the buttons
      await page.evaluate(() =>
        document.getElementById('train')?.scrollIntoView({ behavior: 'instant' }),
      );
      await page.screenshot({ path: picture });
    }
    const passed =
      errors.length === 0 &&
      before.share <= 0.1 &&
      after.share >= 0.9 &&
      toZip <= minutesWanted * 60;
    return {
      passed,
      device,
      toFirstStep,
      toEnd,
      toZip,
      withHeldOut: seconds(),
      before,
      after,
      errors,
    };
  } finally {
    await browser.close();
    await server.close();
    rmSync(outDir, { recursive: true, force: true });
  }
}
