// The real SmolLM2-135M-Instruct by command line, where scripts/fetch-smollm2.mjs has put it: an
// answer and a loss as transformers has them.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureCli } from '../scripts/cli.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const model = join(
  process.env.GUILOMO_MODELS ?? join(root, '.cache/models'),
  'SmolLM2-135M-Instruct.Q4_1.gguf',
);
const read = (file: string) =>
  JSON.parse(readFileSync(join(root, 'src/testing/golden/smollm2', file), 'utf8'));
const questions: {
  prompts: string[];
  newTokens: number;
  data: object[];
  run: { train: { batch: number } };
} = read('questions.json');
const golden: { answers: { text: string }[]; training: { steps: { ce: number }[] } } =
  read('golden.json');

/** Starts the command line and returns its stdout. */
function cli(...argv: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(root, 'scripts/cli.mjs'), ...argv], { cwd: root });
    let [out, err] = ['', ''];
    child.stdout.on('data', (d) => {
      out += d;
    });
    child.stderr.on('data', (d) => {
      err += d;
    });
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve(out) : reject(new Error(err))));
  });
}

const fetched = existsSync(model);
// Weights that we did not make are never committed: without the file these tests are reported as
// skipped. `node scripts/fetch-smollm2.mjs` fetches it.
describe.runIf(fetched)('SmolLM2-135M-Instruct from its GGUF file', () => {
  const dir = mkdtempSync(join(tmpdir(), 'smollm2-'));
  beforeAll(ensureCli);
  afterAll(() => rmSync(dir, { recursive: true }));

  test('answers a prompt as transformers does', async () => {
    const out = await cli(
      'generate',
      '--model',
      model,
      '--prompt',
      questions.prompts[0],
      '--max-new-tokens',
      `${questions.newTokens}`,
    );
    expect(out.trim()).toBe(golden.answers[0].text);
  });

  // A fresh adapter changes nothing, so the first training step's cross-entropy is the model's own.
  test('has the loss of PyTorch on chat rows', async () => {
    const data = join(dir, 'data.jsonl');
    const rows = questions.data.slice(0, questions.run.train.batch);
    writeFileSync(data, rows.map((row) => JSON.stringify(row)).join('\n'));
    const { loss } = JSON.parse(
      await cli('evaluate', '--model', model, '--data', data, '--json'),
    ) as { loss: number };
    expect(Math.abs(loss - golden.training.steps[0].ce)).toBeLessThan(1e-4);
  });
});
