// Half precision (precision "fast") on Mesa's lavapipe, which has shader-f16: its kernel tests, its
// errors against PyTorch in float64 beside those of "exact", and its speed there.
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cliEnvironment, ensureCli } from '../cli.mjs';
import { lastLine, root, say } from '../setup.mjs';

export const about =
  'errors and speed of half precision, on a Mesa driver in a cache folder [--without-tests]';

const VERSION = '25.0.7-2~bpo12+1';
const SUITE = 'bookworm-backports';
const folder = join(root, '.cache/mesa');
const golden = (/** @type {string} */ name) => join(root, 'src/testing/golden', name);
const LANES = { exact: 'gpu', fast: 'gpu,product/wide=half' };

/**
 * @param {string} command
 * @param {string[]} argv
 * @param {import('node:child_process').SpawnSyncOptions} [options]
 * @returns {string} its output
 */
function run(command, argv, options = {}) {
  const done = spawnSync(command, argv, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    ...options,
  });
  if (done.error) throw done.error;
  if (done.status !== 0) throw new Error(`${command} ${argv[0]} ended with ${done.status}`);
  return String(done.stdout);
}

/** Unpacks the driver unless it is there, from the archive that apt uses; returns its manifest. */
function mesa() {
  const manifest = join(folder, `lavapipe-${VERSION}.json`);
  if (existsSync(manifest)) return manifest;
  say(`Fetching Mesa ${VERSION} into ${folder} …`);
  const archive = run('apt-get', [
    'indextargets',
    '--format',
    '$(REPO_URI) $(CODENAME) $(COMPONENT)',
  ])
    .split('\n')
    .find((line) => line.endsWith(' bookworm main'));
  if (!archive) throw new Error('This measurement needs Debian 12 (bookworm) and its apt.');
  for (const name of ['lists/partial', 'cache/archives/partial'])
    mkdirSync(join(folder, name), { recursive: true });
  const key = '/usr/share/keyrings/debian-archive-keyring.gpg';
  const list = join(folder, 'sources.list');
  writeFileSync(list, `deb [signed-by=${key}] ${archive.split(' ')[0]} ${SUITE} main\n`);
  const apt = (/** @type {string[]} */ ...argv) =>
    run(
      'apt-get',
      [
        ['Dir::Etc::sourcelist', list],
        ['Dir::Etc::sourceparts', '-'],
        ['Dir::State::lists', join(folder, 'lists')],
        ['Dir::Cache', join(folder, 'cache')],
      ]
        .flatMap(([name, value]) => ['-o', `${name}=${value}`])
        .concat(argv),
      { cwd: folder, stdio: ['ignore', 2, 2] },
    );
  apt('update');
  apt('download', `mesa-vulkan-drivers=${VERSION}`);
  const file = readdirSync(folder).find((name) => name.endsWith('.deb')) ?? '';
  run('dpkg-deb', ['-x', join(folder, file), join(folder, 'root')]);
  const library = join(folder, 'root/usr/lib/x86_64-linux-gnu/libvulkan_lvp.so');
  const missing = run('ldd', [library]).match(/\S+(?= => not found)/g);
  if (missing) throw new Error(`lavapipe needs ${missing.join(', ')}: install their packages.`);
  const driver = { api_version: '1.4.305', library_path: library };
  writeFileSync(manifest, JSON.stringify({ ICD: driver, file_format_version: '1.0.0' }));
  return manifest;
}

/**
 * The f32 tensors of a safetensors file.
 * @param {string} path
 * @returns {Map<string, Float32Array>}
 */
function tensors(path) {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString('utf8'));
  const found = new Map();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__' || entry.dtype !== 'F32') continue;
    const [from, to] = entry.data_offsets.map((/** @type {number} */ at) => 8 + length + at);
    found.set(name, new Float32Array(Uint8Array.from(bytes.subarray(from, to)).buffer));
  }
  return found;
}

/**
 * ‖a − b‖ / ‖b‖
 * @param {Float32Array} a
 * @param {Float32Array} b
 */
function relative(a, b) {
  let [difference, size] = [0, 0];
  b.forEach((v, i) => {
    difference += (a[i] - v) ** 2;
    size += v * v;
  });
  return size > 0 ? Math.sqrt(difference / size) : 0;
}

/**
 * Errors of a lane.
 * @param {'exact' | 'fast'} lane
 * @param {(argv: string[]) => string} cli
 * @param {string} out a folder
 */
function errorsOf(lane, cli, out) {
  /** @type {Record<string, number>} */
  const errors = {};
  const kernels = ['--kernels', LANES[lane]];
  for (const name of ['train-moe', 'llama-bf16', 'qwen2-f16']) {
    const want = tensors(join(golden(name), 'golden.safetensors'));
    const ids = join(out, 'ids.json');
    writeFileSync(ids, JSON.stringify(inputIds(join(golden(name), 'golden.safetensors'))));
    const file = join(out, 'logits.safetensors');
    const adapter = name === 'train-moe' ? ['--adapter', join(golden(name), 'adapter')] : [];
    cli(['logits', '--model', golden(name), ...adapter, '--input', ids, '--out', file, ...kernels]);
    const got = tensors(file).get('logits') ?? new Float32Array();
    errors[`logits, ${name}`] = relative(got, want.get('logits') ?? new Float32Array());
  }
  for (const name of ['train-moe', 'train-lora']) {
    const at = (/** @type {string} */ file) => join(golden(name), file);
    const inputs = ['--model', golden(name), '--data', at('data.jsonl')];
    const file = join(out, 'gradients.safetensors');
    const config = ['--config', at('run.json')];
    cli(['gradients', ...inputs, '--adapter', at('adapter'), ...config, '--out', file, ...kernels]);
    const got = tensors(file);
    const each = [...tensors(at('grads.safetensors'))].filter(([key]) => key.includes('lora'));
    const worst = each.map(([key, want]) => relative(got.get(key) ?? new Float32Array(), want));
    errors[`gradients, ${name} (worst tensor)`] = Math.max(...worst);
    const trained = join(out, `${name}-${lane}`);
    const init = ['--init', at('adapter/adapter_model.safetensors')];
    const settings = JSON.parse(readFileSync(at('run.json'), 'utf8'));
    const run = join(out, 'run.json');
    if (typeof settings.allocation === 'object')
      for (const [key, file] of Object.entries(settings.allocation))
        settings.allocation[key] = at(file);
    writeFileSync(run, JSON.stringify({ ...settings, precision: lane }));
    cli(['train', ...inputs, '--config', run, ...init, '--out', trained, '--kernels', 'gpu']);
    const losses = readFileSync(join(trained, 'metrics.jsonl'), 'utf8').trim().split('\n');
    const want = JSON.parse(readFileSync(at('run.golden.json'), 'utf8'));
    const gaps = losses
      .map((line) => JSON.parse(line))
      .filter(({ stage, loss }) => stage === 'train' && loss !== undefined)
      .map(({ loss }, i) => Math.abs(loss - want[i].loss));
    errors[`loss of 20 steps, ${name} (largest gap)`] = Math.max(...gaps);
  }
  return errors;
}

/**
 * The token ids that a golden was made of.
 * @param {string} path
 */
function inputIds(path) {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const { shape, data_offsets } = JSON.parse(bytes.subarray(8, 8 + length).toString()).input_ids;
  const from = 8 + length + data_offsets[0];
  return Array.from({ length: shape[0] }, (_, r) =>
    Array.from({ length: shape[1] }, (_, t) => bytes.readInt32LE(from + 4 * (r * shape[1] + t))),
  );
}

/** @param {string[]} options */
export default async function f16(options) {
  await ensureCli();
  const environment = { ...cliEnvironment(), VK_DRIVER_FILES: mesa(), GUILOMO_DAWN: 'lavapipe' };
  const out = mkdtempSync(join(tmpdir(), 'f16-'));
  const main = join(root, 'dist/cli/main.js');
  const cli = (/** @type {string[]} */ argv) =>
    run(process.execPath, [main, ...argv], { env: environment });
  try {
    say('Kernel tests of half precision …');
    const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--project', 'kernels-node'];
    const tests = ['src/ops/product', '-t', 'half'];
    const tested = options.includes('--without-tests')
      ? null
      : spawnSync(process.execPath, [...vitest, ...tests], {
          cwd: root,
          env: environment,
          stdio: ['ignore', 2, 2],
        });
    say('Errors …');
    const errors = { exact: errorsOf('exact', cli, out), fast: errorsOf('fast', cli, out) };
    say('Speed …');
    const argv = ['bench', '--case', 'product/smollm2', '--kernels', 'gpu', '--json'];
    const { cases, device } = lastLine(cli(argv));
    const speed = cases
      .filter((/** @type {{ variant: string }} */ c) => ['tile', 'half'].includes(c.variant))
      .map((/** @type {{ name: string, variant: string, gflops: number }} */ c) => ({
        name: c.name,
        variant: c.variant,
        gflops: Math.round(10 * c.gflops) / 10,
      }));
    const bounded = Object.values(errors.fast).every((error) => error < 5e-3);
    return { device, errors, speed, passed: tested?.status === 0 && bounded };
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}
