// The command line in this process, without a GPU: help, usage errors, and bad input, each refused
// with one line before a GPU is opened.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { cli, goldenPath, modelCopy, NO_GPU, scratch, withHeader } from '../testing/cli.ts';
import { demoFolder } from './demo-folder.ts';

const dir = scratch();
afterAll(() => rmSync(dir, { recursive: true }));

const moe = goldenPath('train-moe');
const weights = new Uint8Array(readFileSync(join(moe, 'model.safetensors')));
const modelConfig = JSON.parse(readFileSync(join(moe, 'config.json'), 'utf8'));
const runConfig = JSON.parse(readFileSync(join(moe, 'run.json'), 'utf8'));
let count = 0;

function file(name: string, contents: string | Uint8Array): string {
  const folder = join(dir, `f${++count}`);
  mkdirSync(folder);
  writeFileSync(join(folder, name), contents);
  return join(folder, name);
}
const copy = (files: Record<string, string | Uint8Array | null> = {}, golden = 'train-moe') =>
  modelCopy(dir, `m${++count}`, golden, files);
const config = (change: object) =>
  copy({ 'config.json': JSON.stringify({ ...modelConfig, ...change }) });
const header = (change: Parameters<typeof withHeader>[1]) =>
  copy({ 'model.safetensors': withHeader(weights, change) });
const settings = (change: Record<string, unknown>) => file('run.json', JSON.stringify(change));
const rows = (...list: unknown[]) =>
  file('data.jsonl', list.map((r) => (typeof r === 'string' ? r : JSON.stringify(r))).join('\n'));
const good = join(moe, 'data.jsonl');
const train = (options: {
  model?: string;
  data?: string;
  config?: string;
  init?: string;
  out?: string;
}) => {
  const {
    model = moe,
    data = good,
    config: c = settings({ train: { batch: 4, microBatch: 2 } }),
    out = join(dir, 'out'),
  } = options;
  return [
    'train',
    '--model',
    model,
    '--data',
    data,
    '--config',
    c,
    '--out',
    out,
    ...(options.init ? ['--init', options.init] : []),
  ];
};

/** Refused once the data has been read, which is noted first. */
async function refusedLate(argv: string[], message: RegExp): Promise<void> {
  const { code, out, err } = await cli(...argv);
  expect(err).toMatch(message);
  expect(err).toMatch(/^Data: [^\n]+\nerror: [^\n]+\n$/);
  expect(err).not.toContain(NO_GPU);
  expect([code, out]).toEqual([2, '']);
}

/** Refused: exit code 2, nothing on stdout, one line on stderr, which no GPU was needed for. */
async function refused(argv: string[], message: RegExp): Promise<void> {
  const { code, out, err } = await cli(...argv);
  expect(err).toMatch(message);
  expect(err).toMatch(/^error: [^\n]+\n$/);
  expect(err).not.toContain(NO_GPU);
  expect(err).not.toMatch(/\n\s+at /);
  expect([code, out]).toEqual([2, '']);
}

/** Everything before the GPU was fine; returns what was noted. */
async function accepted(argv: string[]): Promise<string> {
  const { code, out, err } = await cli(...argv);
  expect(err).toContain(`error: ${NO_GPU}`);
  expect([code, out]).toEqual([2, '']);
  return err;
}

describe('help and usage', () => {
  test('--help lists the commands; COMMAND --help its options; nothing on stderr', async () => {
    const all = await cli('--help');
    expect([all.code, all.err]).toEqual([0, '']);
    const names = [...all.out.matchAll(/^ {2}(\w+) {2,}/gm)].map((m) => m[1]);
    expect(names).toEqual(
      expect.arrayContaining(['train', 'evaluate', 'generate', 'logits', 'gradients', 'demo']),
    );
    for (const name of names) {
      const one = await cli(name, '--help');
      expect([one.code, one.err]).toEqual([0, '']);
      expect(one.out).toMatch(new RegExp(`^${name}: `));
      expect(one.out).toContain('--kernels');
      expect((await cli('help', name)).out).toBe(one.out);
    }
  });
  test.each<[string[], RegExp]>([
    [[], /No command given; commands are train, evaluate/],
    [['trian'], /"trian" is not a command/],
    [['train'], /--model DIR\|FILE, --data FILE, --out DIR must be given/],
    [['train', '--modle', 'x'], /Unknown option '--modle'/],
    [['logits', '--model', moe, 'stray'], /Unexpected argument "stray"/],
    [
      ['generate', '--model', moe, '--prompt', 'x', '--temperature', 'hot'],
      /--temperature is "hot"/,
    ],
    [
      ['demo', '--kernels', 'best'],
      /--kernels has "best", which is not one of gpu, cpu, product=tile\|register\|subgroup\|half, rows=/,
    ],
  ])('%j', (argv, message) => refused(argv, message));
});

describe('models', () => {
  const cases: [string, () => string, RegExp][] = [
    ['no such folder', () => join(dir, 'none'), /none: no such folder/],
    ['a file', () => good, /this is a file, not a folder/],
    [
      'an empty folder',
      () => copy({ 'config.json': null, 'model.safetensors': null }),
      /there is no config\.json/,
    ],
    [
      'config.json not JSON',
      () => copy({ 'config.json': '{"architectures": [' }),
      /config\.json: not valid JSON/,
    ],
    ['config.json empty', () => copy({ 'config.json': '' }), /config\.json: the file is empty/],
    [
      'config.json a list',
      () => copy({ 'config.json': '[]' }),
      /config\.json: expected a JSON object/,
    ],
    [
      'config.json binary',
      () => copy({ 'config.json': new Uint8Array(64) }),
      /config\.json: this is a binary file/,
    ],
    [
      'unknown architecture',
      () => config({ architectures: ['MambaForCausalLM'], model_type: 'mamba' }),
      /config\.json.*Mamba/,
    ],
    [
      'heads that do not fit',
      () => config({ num_key_value_heads: 3 }),
      /config\.json.*num_key_value_heads/,
    ],
    ['no heads', () => config({ num_attention_heads: 0 }), /config\.json.*num_attention_heads/],
    [
      'no weights',
      () => copy({ 'model.safetensors': null }),
      /neither model\.safetensors nor model\.safetensors\.index\.json/,
    ],
    [
      'empty weights',
      () => copy({ 'model.safetensors': '' }),
      /model\.safetensors: the file is empty/,
    ],
    [
      'cut off in the length',
      () => copy({ 'model.safetensors': weights.slice(0, 5) }),
      /model\.safetensors: the file has only 5 bytes/,
    ],
    [
      'cut off in the header',
      () => copy({ 'model.safetensors': weights.slice(0, 100) }),
      /model\.safetensors: the header claims/,
    ],
    [
      'cut off in the data',
      () => copy({ 'model.safetensors': weights.slice(0, -100) }),
      /model\.safetensors: tensor .* is cut off/,
    ],
    [
      'a longer header claimed',
      () => copy({ 'model.safetensors': lie(10n ** 15n) }),
      /header claims 1000000000000000 bytes/,
    ],
    [
      'a shorter header claimed',
      () => copy({ 'model.safetensors': lie(20n) }),
      /header is not valid JSON/,
    ],
    ['offsets elsewhere', () => header((h) => shift(h)), /model\.safetensors: /],
    [
      'a size that does not fit',
      () => header((h) => put(h, 'shape', [3, 3])),
      /where shape \[3, 3\] in F32 needs 36/,
    ],
    ['an unknown dtype', () => header((h) => put(h, 'dtype', 'F31')), /unknown dtype "F31"/],
    [
      'a dtype that cannot be read',
      () => header((h) => put(h, 'dtype', 'I32')),
      /model\.norm\.weight is I32/,
    ],
    [
      'wrong shapes',
      () => config({ vocab_size: 98 }),
      /embed_tokens\.weight has shape \[97, .* makes it \[98, /,
    ],
    ['missing tensors', () => config({ num_hidden_layers: 3 }), /model\.layers\.2\.\S+ is missing/],
  ];
  const lie = (length: bigint) => {
    const bytes = weights.slice();
    new DataView(bytes.buffer).setBigUint64(0, length, true);
    return bytes;
  };
  const put = (h: Record<string, Record<string, unknown>>, key: string, value: unknown) => {
    h['model.norm.weight'][key] = value;
  };
  const shift = (h: Record<string, Record<string, unknown>>) => {
    const [from, to] = h['model.norm.weight'].data_offsets as number[];
    put(h, 'data_offsets', [from + 4, to + 4]);
  };
  test.each(cases)('%s', async (_, model, message) => {
    const path = model();
    await refused(train({ model: path }), message);
    await refused(
      [
        'logits',
        '--model',
        path,
        '--input',
        file('ids.json', '[[1]]'),
        '--out',
        join(dir, 'l.safetensors'),
      ],
      message,
    );
  });
});

describe('data', () => {
  const ids = [1, 2, 3];
  test.each<[string, () => string, RegExp]>([
    ['no such file', () => join(dir, 'none.jsonl'), /none\.jsonl: no such file/],
    ['empty', () => file('data.jsonl', ''), /data\.jsonl: the file is empty/],
    ['blank', () => file('data.jsonl', '\n\n  \n'), /data\.jsonl: the file is empty/],
    ['binary', () => file('data.jsonl', weights), /data\.jsonl: this is a binary file/],
    [
      'not UTF-8',
      () => file('data.jsonl', Uint8Array.of(123, 0xff, 125)),
      /data\.jsonl: this is not UTF-8/,
    ],
    ['not JSON', () => rows('{"input_ids": [1'), /data\.jsonl line 1: not valid JSON/],
    ['an unknown kind', () => file('data.xyz', 'hello'), /data\.xyz: unknown file type/],
    [
      'ids outside the vocabulary',
      () => rows({ input_ids: [1, 97], labels: [1, 2] }),
      /line 1: token id 97 at position 1/,
    ],
    [
      'labels outside it',
      () => rows({ input_ids: [1, 2], labels: [1, 500] }),
      /line 1: label 500 at position 1/,
    ],
    ['negative ids', () => rows({ input_ids: [1, -2], labels: [1, 2] }), /"input_ids"\[1\] is -2/],
    [
      'labels of another length',
      () => rows({ input_ids: ids, labels: [1] }),
      /"labels" has 1 entries, "input_ids" 3/,
    ],
    ['no labels', () => rows({ input_ids: ids }), /"labels" is missing/],
    [
      'no trained token',
      () => rows({ input_ids: ids, labels: [-100, -100, -100] }),
      /line 1: no token carries loss/,
    ],
    [
      'a row beyond the limit',
      () => rows({ input_ids: Array(300).fill(1), labels: [...Array(299).fill(-100), 1] }),
      /beyond data\.maxLength/,
    ],
    [
      'text without a tokenizer',
      () => rows({ prompt: 'a', completion: 'b' }),
      /data\.jsonl: text needs a tokenizer, and the model folder has no tokenizer\.json/,
    ],
    [
      'CSV without the columns',
      () => file('d.csv', 'a,b\n1,2\n'),
      /d\.csv: the header needs the columns/,
    ],
  ])('%s', (_, data, message) => refused(train({ data: data() }), message));

  test('fewer rows than a batch', async () => {
    const { code, err } = await cli(...train({ config: settings({}) }));
    expect(code).toBe(2);
    expect(err).toMatch(/fewer than train\.batch 64/);
    expect(err).not.toContain(NO_GPU);
  });
  test('good rows beside bad ones: the bad ones are named, the others used', async () => {
    const row = { input_ids: ids, labels: ids };
    const data = rows(row, 'nonsense', row, { input_ids: ids, labels: [1] }, row, row, row, row);
    const err = await accepted(train({ data }));
    expect(err).toMatch(/data\.jsonl line 2 was left out: not valid JSON/);
    expect(err).toMatch(/data\.jsonl line 4 was left out: "labels" has 1 entries/);
    expect(err).toMatch(/Data: 6 of 8 rows/);
  });
  test('long rows are cut, and that is said', async () => {
    const row = { input_ids: Array(300).fill(1), labels: Array(300).fill(1) };
    expect(await accepted(train({ data: rows(row, row, row, row, row) }))).toMatch(
      /5 of 5 rows, 5 of them cut to data\.maxLength 256/,
    );
  });
  test('CSV with a byte-order mark, CRLF and ragged rows', async () => {
    const lines = [
      'prompt,completion',
      'Hello,a',
      'too,many,fields',
      '"two\r\nlines",b',
      'short',
      'c,d',
      'e,f',
      'g,h',
    ];
    const data = file('d.csv', `\ufeff${lines.join('\r\n')}\r\n`);
    const err = await accepted(train({ model: demoFolder, data }));
    expect(err).toMatch(/d\.csv line 3 was left out: it has 3 fields, but the header has 2/);
    expect(err).toMatch(/d\.csv line 6 was left out: it has 1 fields/);
    expect(err).toMatch(/Data: 5 of 7 rows/);
  });
});

describe('tokenizers', () => {
  const text = () => rows({ prompt: 'a', completion: 'b' });
  test.each<[string, string, RegExp]>([
    ['not JSON', '{', /tokenizer\.json: not valid JSON/],
    ['empty', '', /tokenizer\.json: the file is empty/],
    [
      'of no known model',
      '{"model": {"type": "Magic"}}',
      /tokenizer\.json: this tokenizer cannot be used/,
    ],
    ['without a model', '{}', /tokenizer\.json: this tokenizer cannot be used/],
  ])(
    'tokenizer.json %s: refused for text, not needed for token ids',
    async (_, contents, message) => {
      const model = copy({ 'tokenizer.json': contents });
      await refused(train({ model, data: text() }), message);
      await refused(['generate', '--model', model, '--prompt', 'Hello'], message);
      await accepted(train({ model }));
    },
  );
  test('a chat template that does not parse', async () => {
    const tokenizer = readFileSync(join(demoFolder, 'tokenizer.json'));
    const model = copy({ 'tokenizer.json': tokenizer, 'chat_template.jinja': '{% for m in %}' });
    await refused(
      ['generate', '--model', model, '--prompt', 'Hello'],
      /chat_template\.jinja: the chat template cannot be read/,
    );
  });
  test("another model's tokenizer", async () => {
    const model = copy({ 'tokenizer.json': readFileSync(join(demoFolder, 'tokenizer.json')) });
    await refused(
      ['generate', '--model', model, '--prompt', 'Hello there'],
      /token id \d+, but the model's vocabulary is 0 to 96/,
    );
  });
  test('a prompt beyond the context', async () => {
    const argv = ['generate', '--model', demoFolder, '--prompt'];
    await refused([...argv, 'word '.repeat(5000)], /tokens exceed the model's context of \d+/);
    await refused(
      [...argv, 'Hello', '--max-new-tokens', '999999'],
      /--max-new-tokens 999999 exceed the model's context/,
    );
  });
});

describe('settings', () => {
  test.each<[string, () => string, RegExp]>([
    ['no such file', () => join(dir, 'none.json'), /none\.json: no such file/],
    ['not JSON', () => file('run.json', '{"seed": }'), /run\.json: not valid JSON/],
    ['a list', () => file('run.json', '[1]'), /run\.json: /],
    ['an unknown key', () => settings({ train: { stepz: 3 } }), /unknown key "train\.stepz"/],
    [
      'a batch that micro-batches do not make',
      () => settings({ train: { batch: 5, microBatch: 2 } }),
      /train\.batch is 5: must be a multiple/,
    ],
    [
      'a value of another kind',
      () => settings({ train: { steps: 'ten' } }),
      /train\.steps is "ten"/,
    ],
    ['a number out of range', () => settings({ adapter: { dropout: 1 } }), /adapter\.dropout is 1/],
    ['a rank of 0', () => settings({ adapter: { rank: 0 } }), /adapter\.rank is 0/],
    [
      'an unknown linear',
      () => settings({ adapter: { targets: ['x_proj'] } }),
      /adapter\.targets\.0 is "x_proj"/,
    ],
    [
      'allocation files that are not there',
      () => settings({ allocation: { experts: 'e.json', ranks: 'r.json' } }),
      /e\.json: no such file/,
    ],
  ])('%s', (_, c, message) => refused(train({ config: c() }), message));

  test('files for validation and weights; a name that no file has, and one that two have, are named', async () => {
    const row = JSON.stringify({ input_ids: [1, 2, 3], labels: [1, 2, 3] });
    const held = file('held.jsonl', `${row}\n`);
    const batch = { train: { batch: 2, microBatch: 2 } };
    const validation = ['--validation', held];
    await accepted([
      ...train({ config: settings({ ...batch, data: { weights: { 'data.jsonl': 2 } } }) }),
      ...validation,
    ]);
    await refusedLate(
      train({ config: settings({ ...batch, data: { validation: ['held.jsonl'] } }) }),
      /data\.validation names held\.jsonl, but no/,
    );
    await refusedLate(
      train({ config: settings({ ...batch, data: { weights: { a: 2 } } }) }),
      /data\.weights names a, but no usable row/,
    );
    await refused(
      train({ config: settings({ ...batch, data: { weights: { a: 0 } } }) }),
      /data\.weights\.a is 0: expected number to be >0/,
    );
    await refused(
      train({ config: settings({ ...batch, data: { validation: 'a' } }) }),
      /data\.validation is "a": expected a share from 0/,
    );
    await refused(
      train({ config: settings({ ...batch, data: { validation: 1 } }) }),
      /data\.validation is 1: expected number to be <1/,
    );
    await refused(
      [
        ...train({ config: settings({ ...batch, data: { weights: { 'held.jsonl': 2 } } }) }),
        ...validation,
      ],
      /data\.weights\.held\.jsonl is 2: names a validation file/,
    );
    await refused(
      [...train({ config: settings(batch) }), '--validation', good],
      /both have a file named data\.jsonl/,
    );
    await refusedLate(
      train({ config: settings({ ...batch, data: { validation: ['data.jsonl'] } }) }),
      /no rows to train on/,
    );
  });

  test('built-in allocations and a budget; what does not fit is named', async () => {
    const batch = { train: { batch: 2, microBatch: 2 } };
    for (const allocation of ['mola-2468', 'hilo', 'random'])
      await accepted(
        train({ config: settings({ ...batch, allocation, adapter: { parameters: 5000 } }) }),
      );
    await refused(
      train({ config: settings({ ...batch, allocation: 'mola-5554' }) }),
      /allocation is "mola-5554": expected "uniform"/,
    );
    await refused(
      train({ config: settings({ ...batch, allocation: 'mola-8888', adapter: { experts: 4 } }) }),
      /needs adapter\.experts 8/,
    );
    await refused(
      train({ config: settings({ ...batch, adapter: { parameters: 10 } }) }),
      /adapter\.parameters is 10: this allocation can/,
    );
    await accepted(
      train({ config: settings({ ...batch, adapter: { method: 'lora', parameters: 10 } }) }),
    );
  });

  test('allocation files lie beside run.json; a wrong value in them is named', async () => {
    await accepted(train({ config: join(moe, 'run.json') }));
    const c = settings({ ...runConfig });
    const beside = join(c, '..');
    writeFileSync(join(beside, 'rank.json'), readFileSync(join(moe, 'rank.json')));
    const experts = JSON.parse(readFileSync(join(moe, 'expert.json'), 'utf8'));
    writeFileSync(
      join(beside, 'expert.json'),
      JSON.stringify({ ...experts, 'model.layers.0.self_attn.q_proj': 99 }),
    );
    await refused(
      train({ config: c }),
      /expert\.json: "model\.layers\.0\.self_attn\.q_proj" is 99, not a whole number from 0 to 5/,
    );
  });
});

describe('adapters and --init', () => {
  const adapterFile = new Uint8Array(readFileSync(join(moe, 'adapter/adapter_model.safetensors')));
  const adapterConfig = readFileSync(join(moe, 'adapter/adapter_config.json'), 'utf8');
  const folder = (files: Record<string, string | Uint8Array>) => {
    const path = join(dir, `a${++count}`);
    mkdirSync(path);
    for (const [name, bytes] of Object.entries(files)) writeFileSync(join(path, name), bytes);
    return path;
  };
  const withConfig = (text: string) =>
    folder({ 'adapter_config.json': text, 'adapter_model.safetensors': adapterFile });
  test.each<[string, () => string, RegExp]>([
    ['no such folder', () => join(dir, 'none'), /none: no such folder/],
    ['empty folder', () => folder({}), /there is no adapter_config\.json/],
    [
      'no weights',
      () => folder({ 'adapter_config.json': adapterConfig }),
      /there is no adapter_model\.safetensors/,
    ],
    ['broken configuration', () => withConfig('{'), /adapter_config\.json: not valid JSON/],
    [
      'another kind',
      () => withConfig(JSON.stringify({ ...JSON.parse(adapterConfig), peft_type: 'IA3' })),
      /"peft_type" is "IA3"/,
    ],
    [
      'weights of another adapter',
      () =>
        withConfig(
          readFileSync(join(goldenPath('train-lora'), 'adapter/adapter_config.json'), 'utf8'),
        ),
      /does not belong to/,
    ],
    [
      'weights cut off',
      () =>
        folder({
          'adapter_config.json': adapterConfig,
          'adapter_model.safetensors': adapterFile.slice(0, 3000),
        }),
      /adapter_model\.safetensors: the header claims/,
    ],
  ])('%s', async (_, adapter, message) => {
    const path = adapter();
    await refused(['evaluate', '--model', moe, '--adapter', path, '--data', good], message);
    await refused(
      [
        'gradients',
        '--model',
        moe,
        '--adapter',
        path,
        '--data',
        good,
        '--out',
        join(dir, 'g.safetensors'),
      ],
      message,
    );
  });
  test('--init: missing, cut off, or of another allocation', async () => {
    const run = join(moe, 'run.json');
    await refused(
      train({ config: run, init: join(dir, 'none.safetensors') }),
      /none\.safetensors: no such file/,
    );
    await refused(
      train({ config: run, init: file('i.safetensors', adapterFile.slice(0, -8)) }),
      /i\.safetensors: .*cut off/,
    );
    await refused(
      train({ init: join(moe, 'adapter/adapter_model.safetensors') }),
      /adapter_model\.safetensors: /,
    );
    await accepted(train({ config: run, init: join(moe, 'adapter/adapter_model.safetensors') }));
  });
});

describe('logits: ids', () => {
  test.each<[string, string, RegExp]>([
    ['not JSON', '[[1,', /ids\.json: not valid JSON/],
    ['an object', '{"ids": [[1]]}', /expected rows of token ids/],
    ['flat', '[1, 2]', /row 1 is not a list/],
    ['empty rows', '[[]]', /row 1 is not a list of token ids/],
    ['unequal lengths', '[[1, 2], [3]]', /row 2 has 1 ids, the first has 2/],
    ['outside the vocabulary', '[[1, 97]]', /row 1 has 97 at position 1; token ids are 0 to 96/],
    ['text', '[["1"]]', /row 1 has "1" at position 0/],
  ])('%s', (_, contents, message) =>
    refused(
      [
        'logits',
        '--model',
        moe,
        '--input',
        file('ids.json', contents),
        '--out',
        join(dir, 'l.safetensors'),
      ],
      message,
    ),
  );
});

describe('outputs', () => {
  test('a folder that is not empty, a file in its place, a folder that is not there', async () => {
    await refused(train({ out: moe }), /train-moe: the folder is not empty; --force/);
    await refused(train({ out: good }), /this is a file, not a folder/);
    const logits = ['logits', '--model', moe, '--input', file('ids.json', '[[1]]'), '--out'];
    await refused([...logits, dir], /this is a folder/);
    await refused([...logits, join(dir, 'no/l.safetensors')], /there is no folder/);
  });
  test('bad input leaves no folder behind; without a GPU the message says so', async () => {
    const out = join(dir, 'never');
    await refused(train({ out, data: join(dir, 'none.jsonl') }), /no such file/);
    await accepted(train({ out }));
    expect(existsSync(out)).toBe(false);
  });
});

describe('memory', () => {
  const small = { adapter: { experts: 2, rank: 2 }, train: { batch: 4, microBatch: 2 } };
  type Columns = {
    name: string;
    microBatch: number;
    recompute: string;
    bill: { total: number; bytes: Record<string, number> };
  }[];
  const bills = async (...argv: string[]): Promise<{ stage: string; columns: Columns }[]> => {
    const { code, out, err } = await cli('budget', ...argv, '--json');
    expect([
      code,
      err
        .split('\n')
        .filter((l) => !l.startsWith('Data:'))
        .join(''),
    ]).toEqual([0, '']);
    return JSON.parse(out).stages;
  };

  test('budget tells the bill of every policy and what is chosen, without a GPU', async () => {
    const [training] = await bills('--model', moe, '--data', good, '--config', settings(small));
    expect(training.stage).toBe('training');
    expect(training.columns.map((c) => c.name)).toEqual(['none', 'mlp', 'block', 'chosen']);
    expect(training.columns[3]).toMatchObject({
      recompute: 'none',
      microBatch: 2,
      bill: training.columns[0].bill,
    });
    const { total } = training.columns[0].bill;
    const [less] = await bills(
      '--model',
      moe,
      '--data',
      good,
      '--config',
      settings(small),
      '--bytes',
      String(total - 1),
    );
    expect(less.columns[3].bill.total).toBeLessThan(total);
    const both = await bills(
      '--model',
      moe,
      '--config',
      settings({ ...small, search: { batch: 4, microBatch: 2 } }),
      '--length',
      '24',
      '--answer',
      '8',
    );
    expect(both.map((s) => s.stage)).toEqual(['search', 'training', 'answers']);
    expect(both[2].columns[0].bill.bytes.cache).toBeGreaterThan(0);
    const { code, out } = await cli(
      'budget',
      '--model',
      'smollm2-135m',
      '--length',
      '64',
      '--config',
      settings(small),
    );
    expect(code).toBe(0);
    expect(out).toMatch(/^training +none +mlp +block +chosen\n/);
    expect(out).toMatch(/\nweights +257 MiB/);
  });

  test('a run that cannot fit is refused before the model is loaded, with settings that fit', async () => {
    const config = settings({ ...small, memory: 260_000 });
    for (const argv of [
      train({ config }),
      ['budget', '--model', moe, '--data', good, '--config', config],
    ]) {
      const { code, out, err } = await cli(...argv);
      expect([code, out]).toEqual([2, '']);
      expect(err).toMatch(
        /\nerror: Training does not fit: it needs at least \d.*, of which the weights are 0\.1 MiB, but memory is 0\.2 MiB\. It fits with/,
      );
    }
    await refused(
      ['budget', '--model', 'smollm2-135m', '--data', good],
      /a shape has no tokenizer/,
    );
    await refused(['budget', '--model', moe, '--validation', good], /--validation needs --data/);
    // What a run with files for validation has written is no hindrance where no data is given.
    const named = settings({
      data: { maxLength: 16, validation: ['v.jsonl'], weights: { a: 2 } },
      train: { batch: 2, microBatch: 2 },
    });
    expect((await cli('budget', '--model', moe, '--config', named)).code).toBe(0);
    const held = file(
      'held.jsonl',
      `${JSON.stringify({ input_ids: Array(40).fill(1), labels: Array(40).fill(1) })}\n`,
    );
    const bill = async (...more: string[]) => {
      const argv = [
        'budget',
        '--model',
        moe,
        '--data',
        good,
        '--config',
        settings({ train: { batch: 2, microBatch: 2 } }),
        '--json',
        ...more,
      ];
      return JSON.parse((await cli(...argv)).out).stages[0].columns[0].bill.total as number;
    };
    // its row is the longest
    expect(await bill('--validation', held)).toBeGreaterThan(await bill());
    await accepted(train({ config: settings({ ...small, memory: 50_000_000 }) }));
    await accepted(
      train({
        config: settings({
          ...small,
          data: { packing: true, maxLength: 64 },
          train: { batch: 2, microBatch: 2 },
        }),
      }),
    );
  });
});
