// What the live heatmaps cost the page: the main thread's task time at 30 layers × 7 linears × 8
// experts with ten updates a second.
import { mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { chromium } from 'playwright';
import { build, preview } from 'vite';
import { chromiumFlags, ensureChromium } from '../chromium.mjs';
import { optionOf, root, say } from '../setup.mjs';

/**
 * @typedef {import('playwright').Browser} Browser
 * @typedef {import('playwright').Page} Page
 */

export const about =
  "the page's main thread while heatmaps update ten times a second [--seconds N] [--screenshots FOLDER]";

const shareAllowed = 0.03;

/**
 * Reads the seconds that the page's main thread has spent in tasks, by the browser's own account:
 * by the clock, or as processor time.
 * @param {Page} page
 * @param {'timeTicks' | 'threadTicks'} timeDomain
 */
async function taskClock(page, timeDomain) {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable', { timeDomain });
  return async () => {
    const { metrics } = await session.send('Performance.getMetrics');
    return metrics.find(({ name }) => name === 'TaskDuration')?.value ?? Number.NaN;
  };
}

/**
 * Shares of wall time in tasks over `seconds`, and the updates that came in them.
 * @param {Page} page
 * @param {{ task: () => Promise<number>, processor: () => Promise<number> }} clocks
 * @param {number} seconds
 */
async function shares(page, clocks, seconds) {
  const steps = () => page.evaluate(() => globalThis.harness.steps());
  const read = async () => [
    Date.now() / 1000,
    await clocks.task(),
    await clocks.processor(),
    await steps(),
  ];
  const from = await read();
  await page.waitForTimeout(1000 * seconds);
  const [wall, task, processor, updates] = (await read()).map((v, i) => v - from[i]);
  return {
    share: task / wall,
    processorShare: processor / wall,
    updatesPerSecond: updates / wall,
    seconds: wall,
  };
}

/**
 * One measurement on a page of its own: after two seconds of updates, with a cell chosen so that
 * the inspector is open.
 * @param {Browser} browser
 * @param {string} address
 * @param {number} seconds
 * @param {string} query
 */
async function measure(browser, address, seconds, query) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  /** @type {string[]} */
  const errors = [];
  page.on('pageerror', (e) => errors.push(e.message));
  await page.goto(`${address}?${query}`);
  const clocks = {
    task: await taskClock(page, 'timeTicks'),
    processor: await taskClock(page, 'threadTicks'),
  };
  await page.evaluate(() => globalThis.harness.send(1));
  await page.locator('[data-testid=sizes-heatmap] [data-cell="64"]').click();
  const idle = await shares(page, clocks, 3);
  await page.evaluate(() => globalThis.harness.every(100));
  await page.waitForTimeout(2000);
  const figures = await shares(page, clocks, seconds);
  await page.close();
  if (errors.length > 0) throw new Error(errors.join('\n'));
  return { ...figures, idleShare: idle.share };
}

/**
 * Pictures of both themes, wide and narrow, in the midst of a search and on a small model.
 * @param {Browser} browser
 * @param {string} address
 * @param {string} folder
 */
async function pictures(browser, address, folder) {
  mkdirSync(folder, { recursive: true });
  for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
    for (const width of [1280, 360]) {
      for (const [name, query] of [
        ['large', 'all'],
        ['small', 'all&layers=4&closable'],
      ]) {
        const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
        await page.goto(`${address}?${query}`);
        await page.evaluate(() => globalThis.harness.send(90));
        await page.locator('[data-testid=search-live][data-step="89"]').waitFor();
        await page.locator('[data-testid=sizes-heatmap] [data-cell="9"]').click();
        await page.waitForTimeout(800);
        await page.screenshot({
          path: join(folder, `${name}-${colorScheme}-${width}.png`),
          fullPage: true,
        });
        await page.close();
      }
    }
  }
}

/**
 * Options: `--seconds N` of measuring (10 at least), `--screenshots FOLDER` saves pictures too.
 * @param {string[]} options
 */
export default async function heatmaps(options) {
  const seconds = Math.max(10, Number(optionOf(options, 'seconds') ?? 15));
  const outDir = join(tmpdir(), `guilomo-heatmaps-${process.pid}`);
  const built = {
    outDir,
    emptyOutDir: true,
    target: 'es2023',
    rolldownOptions: { input: join(root, 'scripts/prove/_heatmaps-page.html') },
  };
  /** @type {import('vite').InlineConfig} */
  const shared = { root, configFile: false, logLevel: 'warn', base: './' };
  await build({
    ...shared,
    plugins: [react(), tailwindcss()],
    worker: { format: 'es' },
    build: built,
  });
  const server = await preview({
    ...shared,
    build: { outDir },
    preview: { host: '127.0.0.1', port: 4279 },
  });
  const browser = await chromium.launch({ executablePath: ensureChromium(), args: chromiumFlags });
  const address = `${server.resolvedUrls?.local[0]}scripts/prove/_heatmaps-page.html`;
  try {
    const folder = optionOf(options, 'screenshots');
    if (folder) await pictures(browser, address, folder);
    // As in a search at an upper learning rate of 0.1; and as no search is: everything moves in
    // every step.
    const search = await measure(browser, address, seconds, 'rate=0.1');
    const percent = (/** @type {number} */ share) => `${(100 * share).toFixed(2)} %`;
    say(
      `search: ${percent(search.share)} of the main thread (${percent(search.processorShare)} as processor time) at ${search.updatesPerSecond.toFixed(1)} updates a second`,
    );
    const turmoil = await measure(browser, address, seconds, 'rate=5');
    say(`turmoil: ${percent(turmoil.share)} (${percent(turmoil.processorShare)})`);
    return {
      passed: search.share <= shareAllowed && search.updatesPerSecond > 9,
      shareAllowed,
      search,
      turmoil,
    };
  } finally {
    await browser.close();
    await server.close();
    rmSync(outDir, { recursive: true, force: true });
  }
}
