// A person's whole way through the page: a local model and the demo, from the button to the
// adapter's files.
import { readFileSync } from 'node:fs';
import { unzipSync } from 'fflate';
import { afterAll, afterEach, expect, test } from 'vitest';
import { bytesSource } from '../src/data/source.ts';
import { openSafetensors, readF32 } from '../src/data/weights/safetensors.ts';
import { type OpenPage, openApp } from './launch.ts';
import {
  chooseData,
  demoFolder,
  download,
  dropOn,
  fill,
  loadModel,
  makeFolder,
  nanoFolder,
  removeFolders,
  textOf,
  violations,
  waitForDevice,
  waitForPhase,
  waitForStep,
} from './steps.ts';

let open: OpenPage | null = null;
afterEach(async () => {
  await open?.close();
  open = null;
});
afterAll(removeFolders);

const stat = (name: string) =>
  open!.page
    .getByTestId('live')
    .locator('dl > div', { hasText: name })
    .first()
    .locator('dd')
    .first();

async function unzip(path: string) {
  const files = unzipSync(readFileSync(path));
  const text = (name: string) => new TextDecoder().decode(files[name]);
  const source = bytesSource(
    files['adapter/adapter_model.safetensors'] as Uint8Array<ArrayBuffer>,
    'adapter_model.safetensors',
  );
  const metrics: Record<string, number>[] = text('metrics.jsonl')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  return {
    names: Object.keys(files).sort(),
    config: JSON.parse(text('config.json')),
    adapter: JSON.parse(text('adapter/adapter_config.json')),
    metrics,
    tensors: (await openSafetensors(source)).entries,
  };
}

test('a local model: settings, start, pause, resume, stop, held-out rows, export, a second run to its end', async () => {
  open = await openApp();
  const { page, errors } = open;
  await waitForDevice(page);
  await loadModel(page, nanoFolder);
  expect(await textOf(page.getByTestId('model-facts'))).toContain('Llama');
  await chooseData(page, `${nanoFolder}/data.jsonl`);
  await page.getByTestId('data-facts').waitFor();
  expect(await page.getByTestId('sample').locator('[data-mask=trained]').count()).toBeGreaterThan(
    0,
  );

  // A mistake is shown at its field and keeps the run from starting.
  await fill(page, {
    Length: '5000',
    Batch: '2',
    'Micro-batch': '2',
    'Validation share': '0.25',
    'Learning rate': '3e-3',
    'Experts per token': '9',
  });
  const startButton = page.getByRole('button', { name: 'Start training' });
  expect(await startButton.isDisabled()).toBe(true);
  expect(await textOf(page.locator('#train'))).toContain('must not exceed experts (8)');
  await fill(page, { 'Experts per token': '2', Experts: '3', Rank: '4', 'Validate every': '' });
  expect(await startButton.isDisabled()).toBe(false);

  await startButton.click();
  await waitForStep(page, 2);
  await waitForStep(page, 12);

  await page.locator('h1').click(); // takes the focus off the controls
  await page.keyboard.press(' ');
  await waitForPhase(page, 'paused');
  const at = await page.getByTestId('live').getAttribute('data-step');

  await page.getByRole('button', { name: 'Check held-out rows' }).click();
  await page.getByTestId('exact').waitFor({ timeout: 120_000 });
  expect(await page.getByTestId('held-out').locator('tbody tr').count()).toBe(2);
  expect(await page.getByTestId('live').getAttribute('data-step')).toBe(at);

  await page.getByRole('button', { name: 'Resume' }).click();
  await waitForStep(page, Number(at) + 3);
  await page.getByRole('button', { name: 'Stop' }).click();
  await waitForPhase(page, 'stopped');

  const first = await unzip(await download(page));
  expect(first.names).toEqual([
    'adapter/adapter_config.json',
    'adapter/adapter_model.safetensors',
    'config.json',
    'metrics.jsonl',
  ]);
  expect(first.adapter).toMatchObject({ peft_type: 'GUILOMO', top_k: 2, r_max: 4 });
  expect(first.config.train).toMatchObject({ steps: 5000, batch: 2, learningRate: 3e-3 });
  const steps = first.metrics.filter((m) => m.loss !== undefined);
  expect(steps.map((m) => m.step)).toEqual(steps.map((_, i) => i + 1));
  expect(new Set(steps.map((m) => m.loss)).size).toBeGreaterThan(steps.length / 2);
  expect(steps.length).toBe(first.config.stepsDone);
  expect(first.metrics.filter((m) => m.validation_loss !== undefined)).toHaveLength(1);
  // layers · linears · (experts · (A, B) + router)
  expect(first.tensors.size).toBe(2 * 7 * (3 * 2 + 1));
  const ups = [...first.tensors.values()].filter((t) => t.name.endsWith('lora_B.weight'));
  expect((await readF32(ups[0])).some((v) => v !== 0)).toBe(true); // B starts at 0: it has learnt

  // Plain LoRA, to its end.
  await page.getByTestId('settings').locator('> summary').click();
  await page.locator('label', { hasText: /^Plain LoRA$/ }).click();
  await fill(page, { Length: '6' });
  await page.getByRole('button', { name: 'Start a new run' }).click();
  await waitForPhase(page, 'finished');
  await page.getByText('Log', { exact: true }).click();
  await page.getByRole('figure', { name: 'Loss by step' }).getByText('As a table').click();
  const lines = page.getByRole('region', { name: 'Metrics by step' }).locator('tbody tr');
  await lines.first().waitFor();
  expect(await lines.count()).toBe(6);
  const second = await unzip(await download(page));
  expect(second.adapter).toMatchObject({ peft_type: 'LORA', r: 4 });
  expect(second.metrics.filter((m) => m.loss !== undefined)).toHaveLength(6);
  expect(second.tensors.size).toBe(2 * 7 * 2);
  expect(errors).toEqual([]);
});

test('questions with choices, validated on a file of its own: the likeliest choice of both models, row by row and counted', async () => {
  open = await openApp();
  const { page, errors } = open;
  await waitForDevice(page);
  await loadModel(page, demoFolder);
  const colours = ['red', 'blue', 'green'];
  const rowsOf = (who: string, count: number) =>
    Array.from({ length: count }, (_, i) => {
      const question = `${who} has a ${colours[i % 3]} drum in the market. What colour is the drum?`;
      return `${JSON.stringify({ question, choices: colours, answer: colours[i % 3] })}\n`;
    }).join('');
  const folder = makeFolder('choices', {
    'drums.jsonl': rowsOf('Sam', 6),
    'drums-valid.jsonl': rowsOf('Ida', 2),
  });
  await chooseData(page, [`${folder}/drums.jsonl`, `${folder}/drums-valid.jsonl`]);
  await page
    .getByTestId('data-facts')
    .getByRole('heading', { name: 'drums.jsonl' })
    .first()
    .waitFor({ timeout: 60_000 });
  await fill(page, {
    Length: '2',
    Batch: '2',
    'Micro-batch': '2',
    'Validate every': '1',
    Experts: '2',
    Rank: '2',
  });
  expect(await page.getByLabel('Validation share').count()).toBe(0);
  await page.getByRole('button', { name: 'Start training' }).click();
  await waitForPhase(page, 'finished');
  await page.getByRole('button', { name: 'Check held-out rows' }).click();
  const shares = page.getByTestId('choices').locator('[data-rows]');
  await shares.first().waitFor({ timeout: 120_000 });
  for (const [i, column] of [2, 3].entries()) {
    const picks = await page
      .getByTestId('held-out')
      .locator('tbody tr')
      .evaluateAll(
        (rows, cell) =>
          rows.map(
            (row) => (row as HTMLTableRowElement).cells[cell].querySelector('p')!.textContent,
          ),
        column,
      );
    expect(picks).toHaveLength(2);
    for (const pick of picks) expect(pick).toMatch(/^Picks: (red|blue|green) \((right|wrong)\)$/);
    const right = picks.filter((pick) => pick.endsWith('(right)')).length;
    expect(await textOf(shares.nth(i))).toContain(`${right} of 2`);
  }
  for (const row of await page.getByTestId('held-out').locator('tbody tr').all())
    expect(await textOf(row)).toContain('Ida has a');
  const { config, metrics } = await unzip(await download(page));
  expect(config.data.validation).toEqual(['drums-valid.jsonl']);
  expect(metrics.filter((m) => m.validation_loss !== undefined).map((m) => m.step)).toEqual([1, 2]);
  expect(await violations(page)).toEqual([]);
  expect(errors).toEqual([]);
});

test('a model folder and data files can be dropped; a drop beside the zones changes nothing', async () => {
  open = await openApp();
  const { page, errors, address } = open;
  await waitForDevice(page);
  await dropOn(page, page.locator('h1'), [`${nanoFolder}/data.jsonl`]);
  await dropOn(page, page.getByText('Drop a model folder or a .gguf file here'), [nanoFolder]);
  await page.getByTestId('model-facts').waitFor({ timeout: 60_000 });
  expect(await textOf(page.getByTestId('model-facts'))).toContain('train-moe');
  await dropOn(page, page.getByText('Drop dataset files here'), [`${nanoFolder}/data.jsonl`]);
  await page.getByTestId('data-facts').waitFor();
  expect(page.url()).toBe(address);
  expect(errors).toEqual([]);
});

test('the demo: from the button to answers of both models and the adapter', async () => {
  open = await openApp();
  const { page, errors } = open;
  await waitForDevice(page);
  await page.getByRole('button', { name: 'Try the demo' }).click();
  await waitForStep(page, 16);
  expect(await textOf(stat('Loss'))).toMatch(/^\d+\.\d+$/);
  expect(await page.getByTestId('chart').locator('canvas').count()).toBe(1);
  expect(await textOf(page.getByTestId('sample'))).toContain('<|end|>');
  await page.getByRole('button', { name: 'Stop' }).click();
  await waitForPhase(page, 'stopped');

  await page
    .getByLabel('Prompt', { exact: true })
    .fill('Make it negative: The owl helped the goat.');
  await page.getByRole('button', { name: 'Ask both' }).click();
  for (const which of ['base', 'tuned']) {
    const answer = page.locator(`[data-testid=answer-${which}] [data-done=true]`);
    await answer.waitFor({ timeout: 120_000 });
    expect((await textOf(answer)).length).toBeGreaterThan(0);
  }
  const { adapter, tensors, metrics } = await unzip(await download(page));
  expect(adapter).toMatchObject({ peft_type: 'GUILOMO', base_model_name_or_path: 'demo' });
  expect(tensors.size).toBe(4 * 7 * (8 * 2 + 1));
  // It learns: the loss of the 16th step is far below that of the first.
  const losses = metrics.filter((m) => m.loss !== undefined).map((m) => m.loss);
  expect(losses[15]).toBeLessThan(0.6 * losses[0]);
  expect(errors).toEqual([]);
});
