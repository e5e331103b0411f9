// What the end-to-end tests do again and again on the page.
import { cpSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { AxeBuilder } from '@axe-core/playwright';
import type { Locator, Page } from 'playwright';

/** The tiny random model of the goldens (no tokenizer), and the demo's model. */
export const nanoFolder = 'src/testing/golden/train-moe';
export const demoFolder = 'public/demo';

const folders: string[] = [];

/**
 * A folder of its own with these files; strings and bytes are written, `from` copies the model
 * files of another folder first.
 */
export function makeFolder(
  name: string,
  files: Record<string, string | Uint8Array | null>,
  from?: string,
): string {
  const root = mkdtempSync(join(tmpdir(), 'guilomo-e2e-'));
  folders.push(root);
  const folder = join(root, name);
  mkdirSync(folder);
  if (from) {
    for (const file of [
      'config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ])
      cpSync(join(from, file), join(folder, file), {
        force: true,
        errorOnExist: false,
        filter: () => files[file] !== null,
      });
  }
  for (const [file, content] of Object.entries(files))
    if (content !== null) writeFileSync(join(folder, file), content);
  return folder;
}

/** A Llama of 850 MiB of zeros, which take no room on the disk and some time to load. */
export function largeFolder(): string {
  const sizes = {
    hidden_size: 1024,
    num_hidden_layers: 8,
    intermediate_size: 8192,
    vocab_size: 1024,
  };
  const config = {
    architectures: ['LlamaForCausalLM'],
    ...sizes,
    num_attention_heads: 16,
    rope_theta: 10_000,
    tie_word_embeddings: true,
  };
  const { hidden_size: c, intermediate_size: f, vocab_size: v } = sizes;
  const attention = Object.fromEntries(
    ['q', 'k', 'v', 'o'].map((name) => [`self_attn.${name}_proj`, [c, c]]),
  );
  const mlp = { 'mlp.gate_proj': [f, c], 'mlp.up_proj': [f, c], 'mlp.down_proj': [c, f] };
  const layer = { ...attention, ...mlp, input_layernorm: [c], post_attention_layernorm: [c] };
  const layers = Array.from({ length: sizes.num_hidden_layers }, (_, l) =>
    Object.entries(layer).map(([name, shape]): [string, number[]] => [
      `layers.${l}.${name}`,
      shape,
    ]),
  );
  let at = 0;
  const entries = [
    ['embed_tokens', [v, c]] as [string, number[]],
    ['norm', [c]] as [string, number[]],
    ...layers.flat(),
  ].map(([name, shape]) => {
    const start = at;
    at += 4 * shape.reduce((product, size) => product * size);
    return [`model.${name}.weight`, { dtype: 'F32', shape, data_offsets: [start, at] }];
  });
  const header = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const head = new Uint8Array(8 + header.length);
  new DataView(head.buffer).setBigUint64(0, BigInt(header.length), true);
  head.set(header, 8);
  const folder = makeFolder('large', {
    'config.json': JSON.stringify(config),
    'model.safetensors': head,
  });
  truncateSync(join(folder, 'model.safetensors'), head.length + at);
  return folder;
}

/** Removes what makeFolder made. */
export const removeFolders = (): void => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
};

/** All text within. */
export const textOf = async (locator: Locator): Promise<string> =>
  (await locator.textContent()) ?? '';

/** Waits for the device; the page can be used from then on. */
export const waitForDevice = (page: Page): Promise<void> =>
  page.getByTestId('device').waitFor({ timeout: 60_000 });

export const chooseModel = (page: Page, folder: string): Promise<void> =>
  page.locator('#model input[type=file][webkitdirectory]').setInputFiles(folder);

/** Chooses one .gguf file. */
export const chooseGguf = (page: Page, file: string): Promise<void> =>
  page.locator('#model input[type=file]:not([webkitdirectory])').setInputFiles(file);

/** Chooses a model that can be used and waits until it is loaded. */
export async function loadModel(page: Page, folder: string): Promise<void> {
  await chooseModel(page, folder);
  await page.getByTestId('model-facts').waitFor({ timeout: 60_000 });
}

export const chooseData = (page: Page, files: string | string[]): Promise<void> =>
  page.locator('#data input[type=file]').setInputFiles(files);

/** Drags files or a folder from outside the browser onto an element. */
export async function dropOn(page: Page, target: Locator, paths: string[]): Promise<void> {
  await target.scrollIntoViewIfNeeded();
  const box = (await target.boundingBox())!;
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: paths.map((path) => resolve(path)), dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const)
    await session.send('Input.dispatchDragEvent', {
      type,
      x: box.x + box.width / 2,
      y: box.y + box.height / 2,
      data,
    });
}

/** The text of the newest notice, which is then dismissed. */
export async function takeNotice(page: Page): Promise<string> {
  const notice = page.getByTestId('notice').last();
  await notice.waitFor({ timeout: 60_000 });
  const text = await textOf(notice);
  await notice.getByRole('button', { name: /^Dismiss/ }).click();
  await page.waitForFunction(() => document.querySelectorAll('[data-testid=notice]').length === 0);
  return text;
}

/** Fills fields by their labels; opens the further settings first. */
export async function fill(page: Page, values: Record<string, string>): Promise<void> {
  const more = page.locator('#train details', { hasText: 'More settings' }).last();
  if ((await more.getAttribute('open')) === null) await more.locator('summary').click();
  for (const [label, value] of Object.entries(values))
    await page.getByLabel(label, { exact: true }).fill(value);
}

/** Waits until the run has reported this many steps. */
export async function waitForStep(page: Page, step: number, timeout = 240_000): Promise<void> {
  const reached = (wanted: number) =>
    Number(document.querySelector<HTMLElement>('[data-testid=live]')?.dataset.step) >= wanted;
  await page.waitForFunction(reached, step, { timeout });
}

/** Waits for a phase of the run. */
export async function waitForPhase(page: Page, phase: string, timeout = 240_000): Promise<void> {
  const there = (wanted: string) =>
    document.querySelector<HTMLElement>('[data-testid=live]')?.dataset.phase === wanted;
  await page.waitForFunction(there, phase, { timeout });
}

/** Prepares and downloads the zip; returns the path that it was saved to. */
export async function download(page: Page): Promise<string> {
  await page.getByRole('button', { name: /^Prepare/ }).click();
  const link = page.getByTestId('download');
  await link.waitFor({ timeout: 60_000 });
  const [file] = await Promise.all([page.waitForEvent('download'), link.click()]);
  return file.path();
}

/** What axe finds on the page as it is. */
export async function violations(page: Page): Promise<string[]> {
  const { violations: found } = await new AxeBuilder({ page })
    .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'])
    .analyze();
  return found.flatMap(({ id, nodes }) =>
    nodes.map((node) => `${id}: ${node.html.slice(0, 160)} ${node.any[0]?.message ?? ''}`),
  );
}

/** Waits until the search has reported this many upper steps. */
export async function waitForSearchStep(
  page: Page,
  step: number,
  timeout = 240_000,
): Promise<void> {
  const reached = (wanted: number) =>
    Number(document.querySelector<HTMLElement>('[data-testid=live]')?.dataset.searchStep) >= wanted;
  await page.waitForFunction(reached, step, { timeout });
}
