// The command line as a person starts it: training, gradients and logits against PyTorch's, the
// demo model, Ctrl-C, bad input.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureCli } from '../scripts/cli.mjs';
import { fileSource } from '../src/cli/files.ts';
import { openSafetensors, readF32, readTensor } from '../src/data/weights/safetensors.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const golden = (path: string) => join(root, 'src/testing/golden', path);
const demo = join(root, 'public/demo');
const dir = mkdtempSync(join(tmpdir(), 'cli-e2e-'));
const at = (name: string) => join(dir, name);
beforeAll(ensureCli);
afterAll(() => rmSync(dir, { recursive: true }));

interface Outcome {
  code: number | null;
  out: string;
  err: string;
}

/** Starts `npm run cli -- argv` without npm. `watch` sees stderr as it grows. */
function cli(
  argv: string[],
  options: {
    env?: Record<string, string>;
    watch?: (err: string, kill: (s: NodeJS.Signals) => void) => void;
  } = {},
) {
  return new Promise<Outcome>((resolve, reject) => {
    const child = spawn(process.execPath, [join(root, 'scripts/cli.mjs'), ...argv], {
      cwd: root,
      env: { ...process.env, ...options.env },
    });
    let [out, err] = ['', ''];
    child.stdout.on('data', (d) => {
      out += d;
    });
    child.stderr.on('data', (d) => {
      err += d;
      options.watch?.(err, (signal) => child.kill(signal));
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out, err }));
  });
}

async function done(...argv: string[]): Promise<Outcome> {
  const outcome = await cli(argv);
  expect(outcome.code, outcome.err).toBe(0);
  return outcome;
}

const tensors = async (path: string) => (await openSafetensors(fileSource(path))).entries;
const norm = (v: Float32Array) => Math.sqrt(v.reduce((a, x) => a + x * x, 0));
const distance = (a: Float32Array, b: Float32Array) => norm(a.map((v, i) => v - b[i])) / norm(b);
const lines = (path: string) =>
  readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((l) => JSON.parse(l));
const trainMoe = (out: string) => {
  const model = golden('train-moe');
  const init = join(model, 'adapter/adapter_model.safetensors');
  return [
    'train',
    '--model',
    model,
    '--data',
    join(model, 'data.jsonl'),
    '--config',
    join(model, 'run.json'),
    '--init',
    init,
    '--out',
    out,
  ];
};

test('train: 20 steps follow PyTorch, twice with the same bits; the settings and kernels are written', async () => {
  const first = await done(...trainMoe(at('moe')));
  await done(...trainMoe(at('moe2')));
  expect(first.out).toBe('');
  const want: Record<string, number>[] = JSON.parse(
    readFileSync(golden('train-moe/run.golden.json'), 'utf8'),
  );
  const got = lines(at('moe/metrics.jsonl'));
  expect(got.map((m) => m.step)).toEqual(want.map((m) => m.step));
  got.forEach((m, i) => {
    expect(Object.keys(m)).toEqual([
      'stage',
      'step',
      'loss',
      'ce',
      'balance',
      'lr',
      'grad_norm',
      'tokens',
      'seconds',
    ]);
    for (const key of ['loss', 'ce', 'lr'])
      expect(Math.abs(m[key] - want[i][key]), `${key} of step ${i + 1}`).toBeLessThan(1e-3);
  });
  for (const name of ['adapter_model.safetensors', 'adapter_config.json'])
    expect(
      readFileSync(at(`moe/adapter/${name}`)).equals(readFileSync(at(`moe2/adapter/${name}`))),
    ).toBe(true);
  const final = await tensors(golden('train-moe/final.safetensors'));
  const ours = await tensors(at('moe/adapter/adapter_model.safetensors'));
  expect([...ours.keys()].sort()).toEqual([...final.keys()].sort());
  for (const [key, entry] of final)
    expect(distance(await readF32(ours.get(key)!), await readF32(entry)), key).toBeLessThan(1e-2);
  const settings = JSON.parse(readFileSync(at('moe/config.json'), 'utf8'));
  expect(settings).toMatchObject({
    seed: 1,
    data: { completionOnly: true },
    train: { steps: 20, clipNorm: 0.3 },
    kernels: { product: expect.any(String) },
  });
  expect(existsSync(join(at('moe'), settings.allocation.experts))).toBe(true);
  // A second run into the same folder is refused, and --force writes over it.
  const again = await cli(trainMoe(at('moe')));
  expect(again.code).toBe(2);
  expect(again.err).toMatch(/^error: [^\n]*the folder is not empty; --force[^\n]*\n$/);
});

test('logits: equal to PyTorch’s; a saved adapter gives the same bits in each fresh process', async () => {
  const model = golden('train-moe');
  const file = await tensors(golden('train-moe/golden.safetensors'));
  const { shape } = file.get('input_ids')!;
  const flat = Array.from(
    new Int32Array((await readTensor(file.get('input_ids')!)).slice().buffer),
  );
  writeFileSync(
    at('ids.json'),
    JSON.stringify(
      Array.from({ length: shape[0] }, (_, r) => flat.slice(r * shape[1], (r + 1) * shape[1])),
    ),
  );
  const logits = async (adapter: string, out: string, ...more: string[]) => {
    const { out: printed } = await done(
      'logits',
      '--model',
      model,
      '--adapter',
      adapter,
      '--input',
      at('ids.json'),
      '--out',
      at(out),
      ...more,
    );
    expect(printed).toBe('');
    return (await tensors(at(out))).get('logits')!;
  };
  const want = file.get('logits')!;
  const found: Float32Array[] = [];
  for (const kernels of ['register', 'gpu', 'cpu']) {
    const out = `golden-${kernels}.safetensors`;
    const got = await logits(join(model, 'adapter'), out, '--kernels', kernels);
    expect(got.shape).toEqual(want.shape);
    found.push(await readF32(got));
    expect(distance(found.at(-1)!, await readF32(want)) ** 2, kernels).toBeLessThan(1e-10);
  }
  expect(found[1], 'other kernels, other bits').not.toEqual(found[2]);
  await logits(at('moe/adapter'), 'one.safetensors');
  await logits(at('moe2/adapter'), 'two.safetensors');
  expect(readFileSync(at('one.safetensors')).equals(readFileSync(at('two.safetensors')))).toBe(
    true,
  );
});

test('gradients: every tensor within 1e-4 of PyTorch’s, the loss within 1e-5', async () => {
  for (const [name, kernels] of [
    ['train-moe', 'cpu'],
    ['train-moe', 'gpu'],
    ['train-lora', 'gpu'],
  ]) {
    const model = golden(name);
    const out = at(`${name}-${kernels}.grads`);
    const files = ['--data', join(model, 'data.jsonl'), '--config', join(model, 'run.json')];
    const adapter = ['--adapter', join(model, 'adapter')];
    const options = [...adapter, ...files, '--kernels', kernels, '--out', out];
    await done('gradients', '--model', model, ...options);
    const want = await tensors(join(model, 'grads.safetensors'));
    const got = await tensors(out);
    expect([...got.keys()].sort()).toEqual([...want.keys()].sort());
    for (const [key, entry] of want) {
      const [a, b] = [await readF32(got.get(key)!), await readF32(entry)];
      expect(got.get(key)!.shape, key).toEqual(entry.shape);
      if (key === 'loss' || key === 'ce') expect(Math.abs(a[0] - b[0]), key).toBeLessThan(1e-5);
      else if (norm(b) === 0)
        expect(norm(a), key).toBeLessThan(1e-6); // one expert: its router changes nothing
      else expect(distance(a, b), key).toBeLessThanOrEqual(1e-4);
    }
  }
  const bytes = (kernels: string) => readFileSync(at(`train-moe-${kernels}.grads`));
  expect(bytes('gpu').equals(bytes('cpu')), 'other kernels, other bits').toBe(false);
});

test('the demo model: a short run from text, then answers and an evaluation with its adapter', async () => {
  const rows = readFileSync(join(demo, 'heldout.jsonl'), 'utf8').trim().split('\n').slice(0, 12);
  writeFileSync(at('rows.jsonl'), rows.join('\n'));
  const train = { steps: 2, batch: 4, microBatch: 4, learningRate: 1e-2 };
  writeFileSync(
    at('run.json'),
    JSON.stringify({
      data: { maxLength: 32, validation: 0.2 },
      adapter: { experts: 2, rank: 2 },
      train,
    }),
  );
  await done(
    'train',
    '--model',
    demo,
    '--data',
    at('rows.jsonl'),
    '--config',
    at('run.json'),
    '--out',
    at('demo'),
  );
  const metrics = lines(at('demo/metrics.jsonl'));
  expect(metrics.map((m) => [m.step, 'loss' in m, 'validation_loss' in m])).toEqual([
    [1, true, false],
    [2, true, false],
    [2, false, true],
  ]);
  const { prompt } = JSON.parse(rows[0]);
  const ask = async (...more: string[]) =>
    (await done('generate', '--model', demo, '--prompt', prompt, '--max-new-tokens', '8', ...more))
      .out;
  const answer = await ask('--adapter', at('demo/adapter'));
  expect(answer).toMatch(/^[^<\n]+\n$/);
  expect(await ask('--raw')).not.toBe(answer);
  const evaluate = async (...more: string[]) =>
    JSON.parse(
      (await done('evaluate', '--model', demo, '--data', at('rows.jsonl'), '--json', ...more)).out,
    );
  const [base, tuned] = [await evaluate(), await evaluate('--adapter', at('demo/adapter'))];
  expect(Object.keys(base)).toEqual(expect.arrayContaining(['loss', 'perplexity', 'exactMatch']));
  expect(base.rows).toBe(12);
  expect(base.perplexity).toBeCloseTo(Math.exp(base.loss), 6);
  expect(tuned.loss).toBeLessThan(base.loss);
});

test('validation on a file of its own: the loss of its rows, which are not trained on; the settings name it', async () => {
  const rows = readFileSync(join(demo, 'heldout.jsonl'), 'utf8').trim().split('\n');
  writeFileSync(at('some.jsonl'), rows.slice(0, 4).join('\n'));
  writeFileSync(at('held.jsonl'), rows.slice(4, 9).join('\n'));
  const train = { epochs: 1, batch: 4, microBatch: 4, learningRate: 1e-2 };
  const data = { maxLength: 32, weights: { 'some.jsonl': 2 } };
  writeFileSync(at('held.json'), JSON.stringify({ data, adapter: { experts: 2, rank: 2 }, train }));
  const files = ['--data', at('some.jsonl'), '--validation', at('held.jsonl')];
  await done('train', '--model', demo, ...files, '--config', at('held.json'), '--out', at('held'));
  const metrics = lines(at('held/metrics.jsonl'));
  expect(metrics.filter((m) => 'loss' in m)).toHaveLength(2); // 4 rows twice
  const config = JSON.parse(readFileSync(at('held/config.json'), 'utf8'));
  expect(config.data).toMatchObject({ validation: ['held.jsonl'], weights: { 'some.jsonl': 2 } });
  const evaluation = [
    'evaluate',
    '--model',
    demo,
    '--data',
    at('held.jsonl'),
    '--config',
    at('held.json'),
    '--json',
  ];
  const weightless = {
    ...JSON.parse(readFileSync(at('held.json'), 'utf8')),
    data: { maxLength: 32 },
  };
  writeFileSync(at('held.json'), JSON.stringify(weightless));
  const { loss } = JSON.parse((await done(...evaluation, '--adapter', at('held/adapter'))).out);
  expect(metrics.at(-1).validation_loss).toBeCloseTo(loss, 5);
});

test('Ctrl-C ends training after the step and keeps what was trained', async () => {
  const model = golden('train-lora');
  const config = JSON.parse(readFileSync(join(model, 'run.json'), 'utf8'));
  writeFileSync(
    at('long.json'),
    JSON.stringify({ ...config, train: { ...config.train, steps: 1_000_000 } }),
  );
  let sent = false;
  const argv = [
    'train',
    '--model',
    model,
    '--data',
    join(model, 'data.jsonl'),
    '--config',
    at('long.json'),
    '--out',
    at('long'),
  ];
  const { code, err } = await cli(argv, {
    watch: (text, kill) => {
      if (sent || !text.includes('Training: step')) return;
      sent = true;
      kill('SIGINT');
    },
  });
  expect(err).toMatch(/Stopping after this step/);
  const steps = Number(/Stopped after (\d+) of 1000000 steps/.exec(err)?.[1]);
  expect(lines(at('long/metrics.jsonl')).length).toBe(steps);
  expect((await tensors(at('long/adapter/adapter_model.safetensors'))).size).toBeGreaterThan(0);
  expect(code).toBe(130);
});

test('bad input and a missing GPU: exit code 2, one line, no stack trace, no folder left', async () => {
  const model = golden('train-moe');
  const train = ['train', '--model', model, '--out', at('never'), '--data'];
  const good = join(model, 'data.jsonl');
  writeFileSync(at('bad.json'), '{"train": {"steps": -1}}');
  const noDriver = {
    VK_DRIVER_FILES: at('none.json'),
    VK_ICD_FILENAMES: at('none.json'),
    GUILOMO_DAWN: 'none',
  };
  const cases: [string[], RegExp, Record<string, string>?][] = [
    [[...train, at('none.jsonl')], /none\.jsonl: no such file/],
    [[...train, good, '--config', at('bad.json')], /bad\.json: train\.steps is -1/],
    [['polish'], /"polish" is not a command/],
    [
      [...train, good, '--config', join(model, 'run.json')],
      /Dawn found no WebGPU adapter/,
      noDriver,
    ],
  ];
  for (const [argv, message, env] of cases) {
    const started = Date.now();
    const { code, out, err } = await cli(argv, { env });
    expect([code, out], err).toEqual([2, '']);
    expect(err).toMatch(message);
    expect(err.split('\n').filter((l) => l.startsWith('error: ')).length).toBe(1);
    expect(err).not.toMatch(/\n\s+at .*\.[jt]s\b/); // the Vulkan loader's own warnings are not ours
    expect(Date.now() - started).toBeLessThan(20_000);
  }
  expect(existsSync(at('never'))).toBe(false);
});

test('--help needs no GPU and writes to stdout alone', async () => {
  const { out, err } = await done('train', '--help');
  expect(out).toMatch(/--model DIR/);
  expect(err).toBe('');
});
