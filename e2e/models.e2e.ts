// Where models come from: one .gguf file.
import { afterEach, expect, test } from 'vitest';
import { type OpenPage, openApp } from './launch.ts';
import { chooseGguf, takeNotice, textOf, waitForDevice } from './steps.ts';

let open: OpenPage | null = null;
afterEach(async () => {
  await open?.close();
  open = null;
});

test('one .gguf file is loaded with its name; a file of another kind is refused', async () => {
  open = await openApp();
  const { page } = open;
  await waitForDevice(page);
  await chooseGguf(page, 'public/favicon.svg');
  expect(await takeNotice(page)).toMatch(/no config\.json/);
  await chooseGguf(page, 'src/testing/golden/gguf/qwen2-q4_k.gguf');
  const facts = page.getByTestId('model-facts');
  await facts.waitFor({ timeout: 60_000 });
  expect(await textOf(facts)).toContain('qwen2-q4_k.gguf');
  expect(await textOf(facts)).toContain('Qwen2');
});
