// The real SmolLM2-135M-Instruct straight from its GGUF file against transformers and PyTorch
// (scripts/golden/smollm2.py).
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { chromiumFlags, ensureChromium } from '../chromium.mjs';
import { cliEnvironment } from '../cli.mjs';
import { fetchSmolLM2 } from '../fetch-smollm2.mjs';
import { root, say } from '../setup.mjs';

/** @typedef {import('./_smollm2-run.mjs').Task} Task */

export const about =
  'the real SmolLM2: text, perplexity and training losses against PyTorch [--browser] [--init FILE: writes the start, no more]';

/** @returns {Task} */
function readTask() {
  const read = (/** @type {string} */ file) =>
    readFileSync(join(root, 'src/testing/golden/smollm2', file), 'utf8');
  const golden = existsSync(join(root, 'src/testing/golden/smollm2/golden.json'))
    ? JSON.parse(read('golden.json'))
    : null;
  return { golden, questions: JSON.parse(read('questions.json')), heldOut: read('held-out.txt') };
}

/**
 * Runs _smollm2-node.mjs, built with the sources, with the task on its stdin. Returns its stdout.
 * @param {Task} task
 * @param {string[]} args
 */
async function underNode(task, args) {
  const { build } = await import('vite');
  const outDir = join(root, `dist/.smollm2-${process.pid}`);
  try {
    await build({
      root,
      configFile: false,
      logLevel: 'error',
      publicDir: false,
      ssr: { noExternal: true, external: ['webgpu'] },
      build: {
        ssr: 'scripts/prove/_smollm2-node.mjs',
        outDir,
        target: 'node20',
        minify: false,
        rolldownOptions: { output: { entryFileNames: 'main.mjs', codeSplitting: false } },
      },
    });
    const child = spawn(process.execPath, [join(outDir, 'main.mjs'), ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: cliEnvironment(),
    });
    child.stdin.end(JSON.stringify(task));
    const [out, code] = await Promise.all([
      text(child.stdout),
      new Promise((done) => child.on('close', done)),
    ]);
    if (code !== 0) throw new Error(`Node ended with exit code ${code}`);
    return out;
  } finally {
    rmSync(outDir, { recursive: true, force: true });
  }
}

/**
 * The same in a headless Chromium, which reads the file as one that a person chose.
 * @param {Task} task
 * @param {string} gguf
 */
async function inChromium(task, gguf) {
  const { createServer } = await import('vite');
  const { chromium } = await import('playwright');
  const server = await createServer({
    root,
    configFile: false,
    logLevel: 'error',
    // a page that reloads loses what it has measured
    server: { port: 0, host: '127.0.0.1', watch: null, hmr: false },
    optimizeDeps: { entries: ['scripts/prove/_smollm2-page.html'] },
  });
  await server.listen();
  const browser = await chromium.launch({ executablePath: ensureChromium(), args: chromiumFlags });
  try {
    const page = await browser.newPage();
    page.on('pageerror', (error) => say(`page: ${error.message}`));
    page.on('console', (message) => say(message.text()));
    await page.goto(`${server.resolvedUrls?.local[0]}scripts/prove/_smollm2-page.html`);
    await page.waitForFunction('globalThis.ready === true', undefined, { timeout: 300_000 });
    await page.setInputFiles('input', gguf);
    return await page.evaluate((t) => globalThis.figures(t), task);
  } finally {
    await browser.close();
    await server.close();
  }
}

/** @param {string[]} options */
export default async function prove(options) {
  const gguf = await fetchSmolLM2();
  const task = readTask();
  const init = options.indexOf('--init') + 1;
  if (init > 0) {
    const path = resolve(options[init]);
    await underNode(task, [gguf, path]);
    return { passed: true, written: path };
  }
  return options.includes('--browser')
    ? await inChromium(task, gguf)
    : JSON.parse(await underNode(task, [gguf]));
}
