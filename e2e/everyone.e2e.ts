// The page for everyone: axe in both themes, phone width, keyboard, a browser without WebGPU.
import { gzipSync } from 'node:zlib';
import { afterEach, expect, test } from 'vitest';
import { address, type OpenPage, openApp } from './launch.ts';
import {
  chooseData,
  fill,
  loadModel,
  nanoFolder,
  textOf,
  violations,
  waitForDevice,
  waitForPhase,
} from './steps.ts';

let open: OpenPage | null = null;
afterEach(async () => {
  await open?.close();
  open = null;
});

for (const colorScheme of ['light', 'dark'] as const) {
  test(`axe finds nothing, ${colorScheme}: at first, with model and data, with a notice, after a run`, async () => {
    open = await openApp({ context: { colorScheme, reducedMotion: 'reduce' } });
    const { page } = open;
    await waitForDevice(page);
    expect(await page.locator('html').getAttribute('data-theme')).toBe(colorScheme);
    expect(await violations(page)).toEqual([]);
    await loadModel(page, nanoFolder);
    await chooseData(page, `${nanoFolder}/config.json`);
    await page.getByTestId('notice').waitFor();
    await chooseData(page, `${nanoFolder}/data.jsonl`);
    await page.getByTestId('data-facts').waitFor();
    await fill(page, {
      Length: '3',
      Batch: '2',
      'Micro-batch': '2',
      'Validation share': '0.25',
      Rank: 'x',
    });
    expect(await violations(page)).toEqual([]);
    await fill(page, { Rank: '2' });
    await page.getByRole('button', { name: 'Start training' }).click();
    await waitForPhase(page, 'finished');
    await page.getByRole('figure', { name: 'Loss by step' }).getByText('As a table').click();
    await page.getByRole('button', { name: 'Check held-out rows' }).click();
    await page.getByTestId('exact').waitFor({ timeout: 120_000 });
    await page.getByRole('button', { name: 'Prepare the download' }).click();
    await page.getByTestId('download').waitFor({ timeout: 60_000 });
    expect(await violations(page)).toEqual([]);
  });
}

test('phone width: nothing sticks out, and the theme can be chosen and is kept', async () => {
  open = await openApp({
    context: { viewport: { width: 360, height: 740 }, colorScheme: 'light' },
  });
  const { page } = open;
  await waitForDevice(page);
  const overhang = () =>
    page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  expect(await overhang()).toBeLessThanOrEqual(0);
  await loadModel(page, nanoFolder);
  await chooseData(page, `${nanoFolder}/data.jsonl`);
  await page.getByTestId('data-facts').waitFor();
  await fill(page, {});
  expect(await overhang()).toBeLessThanOrEqual(0);
  await page.getByRole('radio', { name: 'Dark' }).press(' ');
  expect(await page.locator('html').getAttribute('data-theme')).toBe('dark');
  await page.reload();
  expect(await page.locator('html').getAttribute('data-theme')).toBe('dark');
});

test('keyboard: the first stop skips to the tool, and every stop can be seen', async () => {
  open = await openApp();
  const { page } = open;
  await waitForDevice(page);
  await page.keyboard.press('Tab');
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Skip to content');
  for (let i = 0; i < 12; i++) {
    await page.keyboard.press('Tab');
    const outline = await page.evaluate(() => {
      const shown = (e: Element | null | undefined) =>
        !!e && getComputedStyle(e).outlineStyle !== 'none';
      const at = document.activeElement;
      return at === document.body || shown(at) || shown(at?.closest('[data-focus-visible]'));
    });
    expect(outline).toBe(true);
  }
});

test('keyboard: ? lists the shortcuts, at phone width too, Escape closes the list, and a shortcut does what it says', async () => {
  open = await openApp({ context: { colorScheme: 'light', reducedMotion: 'reduce' } });
  const { page } = open;
  await waitForDevice(page);
  const list = page.getByRole('dialog', { name: 'Keyboard shortcuts' });
  const theme = () => page.locator('html').getAttribute('data-theme');
  await page.keyboard.press('?');
  await list.getByText('Switch between light and dark').waitFor();
  await page.keyboard.press('Alt+Shift+D'); // not meanwhile
  expect([await violations(page), await theme()]).toEqual([[], 'light']);
  await page.keyboard.press('Escape');
  await list.waitFor({ state: 'detached' });
  await page.keyboard.press('Alt+Shift+D');
  expect(await theme()).toBe('dark');
  await page.setViewportSize({ width: 360, height: 740 });
  const button = page.getByRole('button', { name: 'Keyboard shortcuts' });
  await button.click();
  await list.waitFor();
  expect(await violations(page)).toEqual([]);
  const { x, width } = (await list.boundingBox())!;
  expect([x >= 0, x + width <= 360]).toEqual([true, true]);
  await page.keyboard.press('Escape');
  await list.waitFor({ state: 'detached' });
  expect(await button.evaluate((e) => e === document.activeElement)).toBe(true);
});

test('without WebGPU the page says which browser and flag, and stays readable', async () => {
  open = await openApp({ webgpu: false });
  const { page } = open;
  const note = page.getByTestId('no-webgpu');
  await note.waitFor({ timeout: 30_000 });
  expect(await textOf(note)).toContain('enable-unsafe-webgpu');
  expect(await page.getByRole('button', { name: 'Try the demo' }).count()).toBe(0);
  expect(await page.getByRole('heading', { name: 'Model', exact: true }).count()).toBe(1);
  expect(await violations(page)).toEqual([]);
});

test('the scripts that the page needs before it shows are at most 170 KB, gzipped', async () => {
  const html = await (await fetch(address())).text();
  const scripts = [...html.matchAll(/(?:src|href)="(\.\/[^"]+\.js)"/g)].map(([, path]) => path);
  expect(scripts.length).toBeGreaterThan(0);
  let size = 0;
  for (const path of scripts)
    size += gzipSync(await (await fetch(new URL(path, address()))).arrayBuffer()).length;
  expect(size).toBeGreaterThan(20_000);
  expect(size).toBeLessThanOrEqual(170_000);
});

test('the page may fetch from where it lies and from the Hub only, and says so to the browser', async () => {
  open = await openApp();
  const { page } = open;
  await waitForDevice(page);
  const refused = await page.evaluate(() =>
    fetch('https://example.com/').then(
      () => 'fetched',
      (error: Error) => error.name,
    ),
  );
  expect(refused).toBe('TypeError');
  expect(open.errors.join()).toContain('Content Security Policy');
});
