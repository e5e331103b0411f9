// Speed in headless Chromium, in one run: our product against jax-js's and tfjs's, and a LoRA-MoE
// step against a plain LoRA step.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromiumFlags, ensureChromium } from '../chromium.mjs';
import { optionOf, root, say } from '../setup.mjs';

export const about =
  'product speed against jax-js and tfjs, and step costs at the SmolLM2-135M shape, in Chromium [--layers N] [--rounds N]';

const PEERS = {
  '@jax-js/jax': '0.1.25',
  '@tensorflow/tfjs-core': '4.22.0',
  '@tensorflow/tfjs-backend-webgpu': '4.22.0',
};

/** The peers are installed beside the project, never into it. */
function installPeers() {
  const folder = join(root, 'node_modules/.cache/peers');
  mkdirSync(folder, { recursive: true });
  if (Object.keys(PEERS).some((name) => !existsSync(join(folder, 'node_modules', name)))) {
    say('Installing jax-js and tfjs for the comparison…');
    const names = Object.entries(PEERS).map(([name, version]) => `${name}@${version}`);
    const done = spawnSync(
      'npm',
      ['install', '--silent', '--no-save', '--prefix', folder, ...names],
      {
        stdio: ['ignore', 2, 2],
        shell: process.platform === 'win32',
      },
    );
    if (done.status !== 0) throw new Error('jax-js and tfjs could not be installed');
  }
  return folder;
}

const median = (/** @type {number[]} */ values) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** @param {string[]} options */
export default async function bench(options) {
  const peers = installPeers();
  const { createServer } = await import('vite');
  const { chromium } = await import('playwright');
  const server = await createServer({
    root,
    configFile: false,
    logLevel: 'error',
    server: { port: 0, host: '127.0.0.1' },
    resolve: {
      alias: Object.keys(PEERS).map((name) => ({
        find: name,
        replacement: join(peers, 'node_modules', name),
      })),
    },
    optimizeDeps: { entries: ['scripts/prove/_bench-page.html'] },
  });
  await server.listen();
  const browser = await chromium.launch({ executablePath: ensureChromium(), args: chromiumFlags });
  try {
    const page = await browser.newPage();
    page.on('pageerror', (e) => say(`page: ${e.message}`));
    page.setDefaultTimeout(1_800_000);
    await page.goto(`${server.resolvedUrls?.local[0]}scripts/prove/_bench-page.html`);
    await page.waitForFunction('globalThis.ready === true');
    const rounds = Number(optionOf(options, 'rounds') ?? 5);
    const { device, kernels, times } = await page.evaluate(
      (n) => globalThis.compareProducts(n),
      rounds,
    );
    const gflops = (/** @type {number} */ ms) => (2 * 512 * 1536 * 576) / ms / 1e6;
    const products = Object.fromEntries(
      Object.entries(times).map(([name, t]) => [
        name,
        { milliseconds: t, gflops: gflops(median(t)) },
      ]),
    );
    const overJax = median(times.ours.map((t, i) => times.jax[i] / t));
    const overTfjs = median(times.ours.map((t, i) => times.tfjs[i] / t));
    say(
      `ours ${products.ours.gflops.toFixed(2)}, jax-js ${products.jax.gflops.toFixed(2)}, tfjs ${products.tfjs.gflops.toFixed(2)} GFLOP/s`,
    );
    const layers = Number(optionOf(options, 'layers') ?? 30);
    const { steps, best } = await page.evaluate((n) => globalThis.trainingSteps(n, 128, 3), layers);
    const ratio = steps[1].milliseconds / steps[0].milliseconds;
    const efficiency = steps.map((s) => s.gflops / best.gflops);
    return {
      passed: overJax >= 1.8 && overTfjs >= 10 && ratio <= 1.4 && Math.min(...efficiency) >= 0.55,
      device,
      kernels,
      products,
      overJax,
      overTfjs,
      layers,
      steps: steps.map(({ profile: _, ...s }) => s),
      bestProductGflops: best.gflops,
      ratioMoeToLora: ratio,
      efficiency,
    };
  } finally {
    await browser.close();
    await server.close();
  }
}
