// Where models come from: one .gguf file, the Hub by id, this browser's storage.
import type { Page } from 'playwright';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { COMMIT, demoOnHub, type RunningHub, startHub } from './hub.ts';
import { type OpenPage, openApp } from './launch.ts';
import {
  chooseGguf,
  chooseModel,
  demoFolder,
  largeFolder,
  loadModel,
  nanoFolder,
  removeFolders,
  takeNotice,
  textOf,
  violations,
  waitForDevice,
} from './steps.ts';

const weights = 'model.safetensors';
const other = demoOnHub('lab/other');
other.files['config.json'].bytes = new TextEncoder().encode(
  '{"architectures": ["MambaForCausalLM"], "model_type": "mamba"}',
);
const models = [demoOnHub('lab/tiny'), demoOnHub('lab/gated', 'gated'), other];
const size = models[0].files[weights].bytes.length;

let open: OpenPage | null = null;
let running: RunningHub;
beforeEach(async () => {
  running = await startHub(models);
});
afterEach(async () => {
  await open?.close();
  open = null;
  await running.close();
});

afterAll(removeFolders);

/** The page in a Chromium whose Hub is the mock one. */
async function openWithHub(context: Parameters<typeof openApp>[0] = {}): Promise<Page> {
  open = await openApp({
    args: running.args,
    ...context,
    context: { ignoreHTTPSErrors: true, ...context.context },
  });
  await waitForDevice(open.page);
  return open.page;
}

async function find(page: Page, id: string): Promise<void> {
  const hub = page.getByTestId('hub');
  if ((await hub.getAttribute('open')) === null) await hub.locator('summary').click();
  await page.getByLabel('Model id').fill(id);
  await page.getByLabel('Model id').press('Enter');
}

const facts = async (page: Page) => {
  await page.getByTestId('model-facts').waitFor({ timeout: 60_000 });
  return textOf(page.getByTestId('model-facts'));
};
/** The next download stands still at a third, and again where it is tried once more. */
const hold = () =>
  running.hub.faults.set(
    weights,
    [Math.ceil(size / 3), 0, 0].map((after) => ({ kind: 'stall', after })),
  );
/** Lets what is asked for from now on through. */
const letGo = () => running.hub.faults.clear();
/** Waits until a fifth of the model is here. */
const fifth = (page: Page) =>
  page.waitForFunction(
    () =>
      Number(
        document
          .querySelector('[data-testid=download-progress] [role=progressbar]')
          ?.getAttribute('aria-valuenow'),
      ) > 20,
  );

test('suggested models are sized with the settings there are: without a budget, and against one', async () => {
  const page = await openWithHub();
  await page.getByTestId('hub').locator('summary').click();
  const suggestions = page.getByTestId('suggestions');
  const training = (id: string) =>
    textOf(suggestions.locator('tr', { hasText: id }).first().locator('[data-verdict]'));
  /** Waits until all nine are sized. */
  const sized = (some: string) =>
    page.waitForFunction((verdict) => {
      const there = Array.from(
        document.querySelectorAll<HTMLElement>('[data-testid=suggestions] [data-verdict]'),
        (e) => e.dataset.verdict,
      );
      return there.length === 9 && there.includes(verdict);
    }, some);
  await sized('fits');
  expect(await suggestions.locator('[data-verdict=fits]').count()).toBe(9);
  expect(await training('SmolLM2-135M')).toMatch(/^fits, [\d.]+ [MG]iB$/);
  await page.getByLabel('Memory for training, MiB').fill('700');
  await sized('does-not-fit');
  expect(await training('SmolLM2-360M')).toMatch(/^(fits with |does not fit$)/);
  expect(await training('Llama-3.2-1B')).toBe('does not fit');
  expect(await violations(page)).toEqual([]);
});

test('one .gguf file is loaded with its name; a file of another kind is refused', async () => {
  const page = await openWithHub();
  await chooseGguf(page, 'public/favicon.svg');
  expect(await takeNotice(page)).toMatch(/no config\.json/);
  await chooseGguf(page, 'src/testing/golden/gguf/qwen2-q4_k.gguf');
  expect(await facts(page)).toMatch(/qwen2-q4_k\.gguf.*Qwen2/);
});

test('the stages of loading are seen in order, one after the other', async () => {
  const page = await openWithHub();
  await loadModel(page, nanoFolder); // the strip is there from now on
  await page.evaluate(() => {
    const seen: string[] = [];
    Object.assign(window, { seen });
    new MutationObserver(() => {
      const stages = Array.from(
        document.querySelectorAll<HTMLElement>('[data-testid=loading-stages] li'),
        (stage) => stage.dataset.state,
      );
      if (stages.length > 0 && seen.at(-1) !== stages.join()) seen.push(stages.join());
    }).observe(document.body, { subtree: true, childList: true, attributes: true });
  });
  await chooseModel(page, demoFolder);
  await page.getByTestId('model-facts').getByText('784').waitFor({ timeout: 60_000 });
  expect(await page.evaluate(() => (window as unknown as { seen: string[] }).seen)).toEqual([
    'now,before,before,before',
    'done,now,before,before',
    'done,done,now,before',
    'done,done,done,now',
    'done,done,done,done',
  ]);
  expect(open!.errors).toEqual([]);
});

test('a loading that is cancelled leaves the model before, which answers; no notice', async () => {
  const page = await openWithHub();
  await loadModel(page, demoFolder);
  await chooseModel(page, largeFolder());
  const loading = page.getByTestId('loading');
  await loading.getByText(/^Uploading the weights$/).waitFor({ timeout: 60_000 });
  await loading.getByRole('button', { name: 'Cancel' }).click();
  expect(await facts(page)).toContain('784');
  await page.getByText('Loading was cancelled.').waitFor({ state: 'attached' });
  expect(await page.getByTestId('notice').count()).toBe(0);
  await page.getByLabel('Prompt', { exact: true }).fill('Who bit the owl?');
  await page.getByRole('button', { name: 'Ask' }).click();
  await page.locator('[data-testid=answer-base] [data-done=true]').waitFor({ timeout: 60_000 });
  expect(open!.errors).toEqual([]);
});

test('a model of the Hub: paused, resumed after a reload, opened; then opened again without the Hub, and deleted', async () => {
  const page = await openWithHub();
  await find(page, 'lab/tiny');
  expect(await textOf(page.getByTestId('offers'))).toContain(
    `main is commit ${COMMIT.slice(0, 8)}`,
  );
  const verdict = page.getByTestId('offer-verdict').locator('[data-verdict]');
  expect(await textOf(verdict)).toMatch(/^fits, [\d.]+ MiB$/); // before any of its weights are here
  expect(running.hub.sent(weights)).toBe(0);
  hold();
  await page.getByRole('button', { name: 'Download lab/tiny' }).click();
  await fifth(page);
  await page.getByRole('button', { name: 'Pause download' }).click();
  await page.getByText('incomplete').waitFor();
  await page.reload();
  await waitForDevice(page);
  letGo();
  await page.getByRole('button', { name: 'Resume lab/tiny' }).click();
  expect(await facts(page)).toContain('lab/tiny');
  const requests = running.hub.served.filter((s) => s.path === weights);
  expect(requests).toHaveLength(2);
  expect(requests[1].from).toBeGreaterThan(0);
  expect(requests[1].from + requests[1].sent).toBe(size);
  expect(open!.errors).toEqual([]);

  await running.close();
  await page.reload();
  await waitForDevice(page);
  await page.getByRole('button', { name: 'Open lab/tiny' }).click();
  expect(await facts(page)).toContain('784');
  await page.getByRole('button', { name: 'Delete lab/tiny' }).click();
  await page.getByTestId('stored').waitFor({ state: 'detached' });
  expect(open!.errors).toEqual([]);
});

test('a model of a kind that cannot be loaded is refused before it is downloaded', async () => {
  const page = await openWithHub();
  await find(page, 'lab/other');
  const verdict = page.getByTestId('offer-verdict').locator('[data-verdict=refused]');
  expect(await textOf(verdict)).toMatch(/^refused: lab\/other\/config\.json.*MambaForCausalLM/);
  expect(await page.getByRole('button', { name: 'Download lab/other' }).isDisabled()).toBe(true);
  expect(await violations(page)).toEqual([]);
});

test('a model that is gated, one that is not there: a notice each, and a token opens the gated one', async () => {
  const page = await openWithHub();
  await find(page, 'lab/none');
  expect(await takeNotice(page)).toMatch(/lab\/none, revision main: there is no such model/);
  await find(page, 'lab/gated');
  await page.getByRole('button', { name: 'Download lab/gated' }).click();
  expect(await takeNotice(page)).toMatch(/accept their terms/);
  await page.getByLabel('Access token').fill('hf_test');
  await page.getByRole('button', { name: 'Resume lab/gated' }).click();
  expect(await facts(page)).toContain('lab/gated');
});

for (const colorScheme of ['light', 'dark'] as const) {
  test(`axe finds nothing, ${colorScheme}: an offer, a download, a part that is stored`, async () => {
    const page = await openWithHub({ context: { colorScheme, reducedMotion: 'reduce' } });
    await find(page, 'lab/tiny');
    hold();
    await page.getByRole('button', { name: 'Download lab/tiny' }).click();
    await fifth(page);
    expect(await violations(page)).toEqual([]);
    await page.getByRole('button', { name: 'Pause download' }).click();
    await page.getByText('incomplete').waitFor();
    expect(await violations(page)).toEqual([]);
  });
}
