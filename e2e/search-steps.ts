// Steps of a search on the page, for the end-to-end tests of both kinds of search.
import { readFileSync } from 'node:fs';
import type { Page } from 'playwright';
import { chooseData, fill, loadModel, nanoFolder, waitForDevice } from './steps.ts';

/** Small experts of LoRA-MoE. */
export const sizes = { Experts: '4', Rank: '4' };
const batches = {
  Batch: '2',
  'Micro-batch': '2',
  'Validation share': '0.25',
  'Search batch': '4',
  'Search micro-batch': '2',
};

/** The nano model and its data, a search switched on, and settings by their labels. */
export async function prepare(
  page: Page,
  values: Record<string, string>,
  toggles: readonly string[] = [],
): Promise<void> {
  await waitForDevice(page);
  await loadModel(page, nanoFolder);
  await chooseData(page, `${nanoFolder}/data.jsonl`);
  await page.getByTestId('data-facts').waitFor();
  await page.getByText('Search first', { exact: true }).click();
  await page.getByText('More search settings').click();
  // a preset's button may have the same name, and comes first
  for (const toggle of toggles) await page.getByText(toggle, { exact: true }).last().click();
  await fill(page, { ...batches, 'Upper learning rate': '0.1', ...values });
}
export const startSearch = (page: Page) =>
  page.getByRole('button', { name: 'Start the search' }).click();

/** What the cells of a grid say, by linear ("Layer 0, q_proj"). */
export async function cells(page: Page, grid: RegExp): Promise<Map<string, string>> {
  const found = page.locator('[data-labels=current]', {
    has: page.getByRole('grid', { name: grid }),
  });
  await found.waitFor();
  const labels = await found
    .getByRole('gridcell')
    .evaluateAll((all) => all.map((cell) => cell.getAttribute('aria-label') ?? ''));
  return new Map(
    labels
      .filter((label) => label.includes(':'))
      .map((label) => [label.slice(0, label.indexOf(':')), label]),
  );
}
export const cell = (page: Page, name: string) =>
  page
    .getByRole('grid', { name: /^Allocation/ })
    .getByRole('gridcell', { name: new RegExp(`^${name}:`) });

/** What a file offered by a button holds. */
export async function saved(page: Page, button: string): Promise<Record<string, number>> {
  const [file] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: button }).click(),
  ]);
  return JSON.parse(readFileSync(await file.path(), 'utf8'));
}
