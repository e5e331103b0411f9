// The benchmark on the page: cancelled, then of the smallest cases, copied, before any model is
// loaded.
import { afterEach, expect, test } from 'vitest';
import { type OpenPage, openApp } from './launch.ts';
import { textOf, violations, waitForDevice } from './steps.ts';

let open: OpenPage | null = null;
afterEach(async () => {
  await open?.close();
  open = null;
});

test('it can be cancelled, measures what is asked for, and its result can be copied', async () => {
  open = await openApp({
    context: {
      permissions: ['clipboard-read', 'clipboard-write'],
      colorScheme: 'light',
      reducedMotion: 'reduce',
    },
  });
  const { page } = open;
  await waitForDevice(page);
  const panel = page.getByTestId('benchmark');
  const button = (name: string) => page.getByRole('button', { name, exact: true });
  const ended = () =>
    page.waitForFunction(
      () => !!document.querySelector('[data-testid=benchmark][data-status=done]'),
      null,
      { timeout: 60_000 },
    );
  const clipboard = () => page.evaluate(() => navigator.clipboard.readText());

  await button('Benchmark').click();
  // the third case multiplies matrices: there is something to drop, and something to keep
  await panel.getByText(/^3 of \d+$/).waitFor({ timeout: 60_000 });
  expect(await button('Try the demo').getAttribute('aria-disabled')).toBe('true');
  await button('Cancel the benchmark').click();
  await ended();
  expect(await textOf(panel)).toMatch(/The benchmark was cancelled: 2 of \d+ cases measured\./);
  expect(await page.getByTestId('benchmark-table').locator('tbody tr').count()).toBe(2);

  await page.getByLabel('Only cases with this in their name').fill('nowhere');
  await button('Benchmark').click();
  await panel.getByText('No case has nowhere in its name').waitFor();
  await page.getByLabel('Only cases with this in their name').fill('device/');
  await button('Benchmark').click();
  await ended();
  expect(await textOf(panel)).toContain('The benchmark is done: 2 cases measured.');
  expect(await textOf(page.getByTestId('benchmark-device'))).toContain('Chrome');
  expect(await violations(page)).toEqual([]);
  await button('Copy').click();
  await panel.getByText('Copied the table.').waitFor();
  expect(await clipboard()).toMatch(
    /^.+\n.+Chrome.+\n\nBy .+; steps by the wall clock\.\ncase +variant .+\ndevice\/multiply-add +[\d.]+ +[\d.]+ +100 %\s+device\/copy +[\d.]+ +0\.0 +[\d.]+ *\n$/,
  );
  await button('Copy as JSON').click();
  await panel.getByText('Copied the JSON.').waitFor();
  const { cases, ...about } = JSON.parse(await clipboard());
  expect(Object.keys(about)).toEqual(['device', 'browser', 'clock', 'kernels', 'bestProduct']);
  expect(cases.map(({ name }: { name: string }) => name)).toEqual([
    'device/multiply-add',
    'device/copy',
  ]);
  for (const { milliseconds } of cases) expect(milliseconds).toBeGreaterThan(0);
  await page.setViewportSize({ width: 360, height: 740 });
  expect(
    await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth),
  ).toBeLessThanOrEqual(0);
  await button('Close the benchmark').click();
  await panel.waitFor({ state: 'detached' });
  expect(open.errors).toEqual([]);
});
