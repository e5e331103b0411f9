// What leaves the program, by name: commands and their options, files, their keys, and the keys of
// --json. Others read these; a name changes only on purpose, here first.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureCli } from '../scripts/cli.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const model = join(root, 'src/testing/golden/train-moe');
const data = join(model, 'data.jsonl');
const dir = mkdtempSync(join(tmpdir(), 'interface-e2e-'));
const at = (name: string) => join(dir, name);
beforeAll(ensureCli);
afterAll(() => rmSync(dir, { recursive: true }));

function cli(...argv: string[]): string {
  const args = [join(root, 'scripts/cli.mjs'), ...argv];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: root,
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
  return stdout;
}

const json = (name: string) => JSON.parse(readFileSync(at(name), 'utf8'));
const keys = (value: object) => Object.keys(value).join(' ');
/** The keys of the lines of a file, each set of them once. */
const lineKeys = (name: string) => [
  ...new Set(
    readFileSync(at(name), 'utf8')
      .trim()
      .split('\n')
      .map((line) => keys(JSON.parse(line))),
  ),
];
const filesOf = (name: string) =>
  readdirSync(at(name), { recursive: true, encoding: 'utf8' })
    .filter((file) => statSync(join(at(name), file)).isFile())
    .map((file) => relative('.', file))
    .sort();
const run = (name: string, settings: object) => {
  writeFileSync(at(`${name}.json`), JSON.stringify(settings));
  cli(
    'train',
    ...['--model', model, '--data', data, '--config', at(`${name}.json`), '--out', at(name)],
  );
};

test('commands and options', () => {
  const options: Record<string, string> = {
    train: 'model data validation out config init force kernels',
    evaluate: 'model adapter data config json kernels',
    generate: 'model adapter prompt system raw max-new-tokens temperature top-p seed kernels',
    logits: 'model adapter input out kernels',
    gradients: 'model adapter init data config out kernels',
    demo: 'json search out force kernels',
    compare: 'model data held-out plan out json kernels',
    budget:
      'model config data validation length bytes binding answer recompute measure kernels json',
    bench: 'list case layers tokens repeats kernels profile search json',
    program: 'model config tokens kernels layers json',
    kernel: 'model config tokens kernels json',
  };
  const help = cli('--help');
  for (const [command, wanted] of Object.entries(options)) {
    expect(help).toMatch(new RegExp(`^ {2}${command} `, 'm'));
    const found = [...cli(command, '--help').matchAll(/^ {2}--([\w-]+)/gm)].map((m) => m[1]);
    expect(found, command).toEqual(expect.arrayContaining(wanted.split(' ')));
  }
});

test('a search and a training: files and their keys', () => {
  const batches = { batch: 2, microBatch: 2 };
  run('moe', {
    data: { maxLength: 64, validation: 0.25 },
    adapter: { experts: 3, rank: 4 },
    search: { steps: 4, ...batches },
    train: { steps: 4, evaluateEvery: 2, ...batches },
  });
  expect(filesOf('moe')).toEqual([
    'adapter/adapter_config.json',
    'adapter/adapter_model.safetensors',
    'allocation/expert.json',
    'allocation/rank.json',
    'config.json',
    'gsv.jsonl',
    'metrics.jsonl',
    'search/state.safetensors',
  ]);
  const update = 'stage step loss ce balance lr grad_norm tokens seconds';
  expect(lineKeys('moe/metrics.jsonl')).toEqual([update, 'stage step validation_loss seconds']);
  expect(lineKeys('moe/gsv.jsonl')).toEqual(['step values', 'step upper_loss values']);
  const config = json('moe/config.json');
  expect(keys(config)).toBe(
    'seed data adapter memory precision search train allocation model device kernels recompute logitsAtATime parameters experts ranks',
  );
  expect(Object.keys(config.kernels)).toEqual(expect.arrayContaining(['product', 'rows']));
  const adapter = json('moe/adapter/adapter_config.json');
  expect(keys(adapter).split(' ').sort()).toEqual(
    [
      ...['peft_type', 'task_type', 'base_model_name_or_path', 'revision', 'lora_alpha'],
      ...['lora_dropout', 'top_k', 'scale', 'r_max', 'target_modules', 'experts', 'ranks'],
    ].sort(),
  );
  const path = 'model.layers.0.self_attn.q_proj';
  expect(json('moe/allocation/expert.json')).toHaveProperty([path]);
  expect(json('moe/allocation/rank.json')).toHaveProperty([`${path}.experts.0`]);
  const name = (key: string) => `base_model.model.${path}.${key}`;
  const header = (file: string) => {
    const bytes = readFileSync(at(file));
    return JSON.parse(bytes.toString('utf8', 8, 8 + Number(bytes.readBigUInt64LE(0))));
  };
  for (const key of ['experts.0.lora_A.weight', 'experts.0.lora_B.weight', 'router.weight'])
    expect(header('moe/adapter/adapter_model.safetensors')).toHaveProperty([name(key)]);
  for (const key of ['gsv_expert', 'experts.0.gsv_rank', 'experts.0.rank_scale', 'router.weight'])
    expect(header('moe/search/state.safetensors')).toHaveProperty([name(key)]);

  const common = ['--model', model, '--data', data];
  const adapterAt = ['--adapter', at('moe/adapter')];
  expect(keys(JSON.parse(cli('evaluate', ...common, ...adapterAt, '--json')))).toBe(
    'loss perplexity exactMatch correct answered rows tokens leftOut',
  );
  const budget = cli('budget', ...common, '--config', at('moe.json'), '--json');
  expect(keys(JSON.parse(budget))).toBe('stages');
  const [stage] = JSON.parse(budget).stages;
  expect(keys(stage)).toBe('stage columns');
  expect(keys(stage.columns[0])).toBe('name recompute microBatch chunk padding bill');
  expect(keys(stage.columns[0].bill)).toBe('bytes total largest');
  cli('gradients', ...common, ...adapterAt, '--out', at('gradients.safetensors'));
  for (const key of ['loss', name('router.weight')])
    expect(header('gradients.safetensors')).toHaveProperty([key]);
});

test('plain LoRA: exactly the files of PEFT', () => {
  run('lora', {
    data: { maxLength: 64, validation: 0 },
    adapter: { method: 'lora', rank: 4 },
    train: { steps: 2, batch: 2, microBatch: 2 },
  });
  expect(filesOf('lora')).toEqual([
    'adapter/adapter_config.json',
    'adapter/adapter_model.safetensors',
    'config.json',
    'metrics.jsonl',
  ]);
  expect(json('lora/adapter/adapter_config.json')).toEqual({
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: 'train-moe',
    revision: null,
    inference_mode: true,
    r: 4,
    lora_alpha: 16,
    lora_dropout: 0.05,
    target_modules: ['down_proj', 'gate_proj', 'k_proj', 'o_proj', 'q_proj', 'up_proj', 'v_proj'],
    bias: 'none',
    fan_in_fan_out: false,
    init_lora_weights: true,
    modules_to_save: null,
    layers_to_transform: null,
    layers_pattern: null,
    rank_pattern: {},
    alpha_pattern: {},
    use_rslora: false,
    use_dora: false,
  });
});
