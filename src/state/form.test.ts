// The settings form: to run.json and back, mistakes by field, trainable parameters.
import { describe, expect, test } from 'vitest';
import { settings } from '../settings/catalog.ts';
import { DEMO_RUN, DEMO_SEARCH_RUN } from '../settings/demo.ts';
import {
  parseRunConfig,
  parseTrainingConfig,
  type RunConfigInput,
} from '../settings/run-config.ts';
import { RUN_PRESETS, type RunPresetName } from '../settings/run-presets.ts';
import type { DatasetReport, ModelReport } from '../worker/protocol/api.ts';
import { type FieldName, type Form, fields, fieldsOf } from './fields.ts';
import { heldOut, usesByName } from './files.ts';
import {
  configOf,
  dataOptionsOf,
  defaultForm,
  formOf,
  formProblems,
  inWords,
  trainableParameters,
  withPreset,
} from './form.ts';

const form = defaultForm();
const everySetting: RunConfigInput['search'] = {
  estimator: 'survival',
  sizes: 'sampled',
  order: 'second-order',
  split: 'paired',
  steps: 30,
  batch: 12,
  microBatch: 4,
  learningRate: 1e-3,
  schedule: 'cosine',
  warmupSteps: 3,
  lowerOnlySteps: 5,
  weightDecay: 0.1,
  clipNorm: null,
  upperLearningRate: 0.2,
  budget: 0.4,
  closable: true,
};

describe('form and run.json', () => {
  test('the default form is a run.json that can be taken', () => {
    expect(formProblems(form)).toEqual({});
    expect(parseRunConfig(configOf(form), 'form').train).toMatchObject({
      batch: 16,
      microBatch: 8,
      steps: 100,
    });
  });

  test('a configuration survives the way through the form', () => {
    const config = parseTrainingConfig(
      {
        seed: 7,
        data: { shuffle: false, system: 'Be brief.' },
        adapter: { scale: 'per-expert' },
        train: { ...DEMO_RUN.train, clipNorm: null },
      },
      'test',
    );
    expect(parseRunConfig(configOf(formOf(config)), 'form')).toEqual(config);
  });

  test.each<[string, RunConfigInput]>([
    ['the demo with a search', DEMO_SEARCH_RUN],
    [
      'every setting of the search',
      { search: everySetting, adapter: { parameters: 4000 }, train: { epochs: 2 } },
    ],
    ['the search alone', { search: { cost: 0.5 }, train: false }],
    ['the paper’s estimator', { search: { estimator: 'paper', split: 'paired' } }],
  ])('so does one with a search: %s', (_, input) => {
    const config = parseRunConfig(input, 'test');
    expect(parseRunConfig(configOf(formOf(config)), 'form')).toEqual(config);
  });

  test('without a search its fields are not looked at', () => {
    expect(parseRunConfig(configOf({ ...form, 'search.steps': 'x' }), 'form').search).toBe(false);
  });

  test('plain LoRA is searched by survival alone, whatever was chosen before', () => {
    const lora: Form = {
      ...form,
      search: true,
      'adapter.method': 'lora',
      'search.estimator': 'paper',
      'search.closable': true,
      'search.budget': '0.5',
    };
    expect(parseRunConfig(configOf(lora), 'form').search).toMatchObject({
      estimator: 'survival',
      closable: true,
      budget: 0.5,
    });
  });

  test('with the paper’s estimator what goes with survival alone is left out', () => {
    const paper: Form = {
      ...form,
      search: true,
      'search.estimator': 'paper',
      'search.sizes': 'sampled',
      'search.closable': true,
      'search.budget': '0.2',
      'search.cost': 'x',
    };
    expect(parseRunConfig(configOf(paper), 'form').search).toMatchObject({
      sizes: 'argmax',
      closable: false,
      budget: null,
      cost: 0,
    });
  });

  test('every field stands in run.json', () => {
    const config = configOf({ ...form, search: true }) as Record<string, unknown>;
    for (const { path } of Object.values(fields)) {
      const value = path
        .split('.')
        .reduce<unknown>((v, key) => (v as Record<string, unknown>)[key], config);
      expect(value, path).not.toBeUndefined();
    }
  });

  test('every setting that can be typed has a field, with the default of the schema', () => {
    const own = formOf(parseRunConfig({}, 'defaults'));
    for (const { path, kind, initial } of settings.filter((s) => s.kind !== null)) {
      expect(fields[path as FieldName].path).toBe(path);
      const typed = kind === 'switch' ? initial : String(initial ?? '');
      expect(own[path as FieldName], path).toEqual(typed);
    }
    const shown = (['data', 'adapter', 'search', 'train'] as const).flatMap((g) => fieldsOf(g));
    const labelled = settings.filter((s) => s.kind && s.label && s.path.includes('.'));
    expect(shown).toEqual(labelled.map((s) => s.path));
  });

  test('numbers may be written as 3e-4, and empty optional fields are null', () => {
    const config = configOf({
      ...form,
      'train.learningRate': ' 3e-4 ',
      'train.clipNorm': '',
      'train.evaluateEvery': ' ',
    });
    expect(config.train).toMatchObject({ learningRate: 3e-4, clipNorm: null, evaluateEvery: null });
  });
});

describe('mistakes', () => {
  test.each([
    ['train.steps', '', 'enter a number'],
    ['train.steps', '1.5', /int/],
    ['train.steps', '0', />=1/],
    ['train.learningRate', 'fast', '“fast” is not a number'],
    ['adapter.dropout', '1', /<1/],
    ['train.batch', '12', 'must be a multiple of micro-batch (8)'],
    ['adapter.topK', '1', /^must be 2 or more with several experts/],
    ['adapter.topK', '9', 'must not exceed experts (8)'],
    ['data.maxLength', '1', />=2/],
  ] as const)('%s = %j', (name, value, message) => {
    const problems = formProblems({ ...form, [name]: value });
    expect(Object.keys(problems)).toEqual([name]);
    if (message instanceof RegExp) expect(problems[name]).toMatch(message);
    else expect(problems[name]).toBe(message);
  });

  test.each([
    ['search.steps', '0', />=1/],
    ['search.batch', '12', 'must be a multiple of search micro-batch (8)'],
    ['search.budget', '1.5', /<=1/],
    ['search.cost', '0.1', /leave one of the two out/],
    ['search.lowerOnlySteps', '', 'enter a number'],
  ] as const)('of the search: %s = %j', (name, value, message) => {
    const problems = formProblems({ ...form, search: true, 'search.budget': '0.5', [name]: value });
    expect(Object.keys(problems)).toEqual([name]);
    if (message instanceof RegExp) expect(problems[name]).toMatch(message);
    else expect(problems[name]).toBe(message);
  });

  test('fields that plain LoRA has no use for are not looked at', () => {
    expect(
      formProblems({
        ...form,
        'adapter.method': 'lora',
        'adapter.topK': 'x',
        'adapter.experts': '',
      }),
    ).toEqual({});
  });
});

test('trainable parameters are those of the method', () => {
  const model = {
    layers: 2,
    hidden: 32,
    heads: 4,
    kvHeads: 2,
    headDim: 8,
    feedForward: 64,
  } as ModelReport;
  const sites = 32 + 32 + (32 + 16) * 2 + 32 + 32 + (32 + 64) * 3; // Σ (C + O) of a layer
  const inputs = 32 * 6 + 64; // Σ C
  const uniform = 2 * (3 * 4 * sites + 3 * inputs);
  expect(
    trainableParameters({ ...form, 'adapter.method': 'lora', 'adapter.rank': '4' }, model),
  ).toEqual({
    search: null,
    adapter: 2 * 4 * sites,
  });
  expect(
    trainableParameters(
      { ...form, 'adapter.method': 'lora', 'adapter.parameters': String(2 * 3 * sites + 9) },
      model,
    ),
  ).toEqual({ search: null, adapter: 2 * 3 * sites, rank: 3 });
  const moe: Form = { ...form, 'adapter.rank': '4', 'adapter.experts': '3' };
  expect(trainableParameters(moe, model)).toEqual({ search: null, adapter: uniform });
  expect(trainableParameters({ ...form, 'adapter.rank': 'x' }, model)).toBeNull();
  // The search trains a scale for every row too, and decides how many the adapter has, unless a
  // number is asked for.
  const searched = uniform + 2 * 7 * 3 * 4;
  expect(trainableParameters({ ...moe, search: true }, model)).toEqual({
    search: searched,
    adapter: null,
  });
  expect(
    trainableParameters({ ...moe, search: true, 'adapter.parameters': '5000' }, model),
  ).toEqual({
    search: searched,
    adapter: 5000,
  });
});

describe('presets', () => {
  const part = { rows: 0, badRows: 0, tokens: 0, formats: [] };
  const report = {
    parts: [
      { ...part, name: 'a.jsonl', examples: 640 },
      { ...part, name: 'b.jsonl', examples: 360 },
    ],
  } as unknown as DatasetReport;
  test.each(Object.keys(RUN_PRESETS) as RunPresetName[])(
    '%s can be taken, and leaves data, seed and the review alone',
    (name) => {
      const own: Form = {
        ...form,
        seed: '9',
        'data.maxLength': '99',
        'data.validation': '0.1',
        waitAtReview: true,
        'data.template': 'none',
      };
      const made = withPreset(own, name, report);
      expect(formProblems(made)).toEqual({});
      expect(made).toMatchObject({
        seed: '9',
        'data.maxLength': '99',
        'data.validation': '0.1',
        waitAtReview: true,
        'data.template': 'none',
      });
      expect(made.search).toBe(name !== 'lora');
    },
  );

  test('the paper’s search goes over the training rows four times, two micro-batches a step', () => {
    const steps = (own: Form, of: DatasetReport | null) =>
      withPreset(own, 'paper', of)['search.steps'];
    expect(steps({ ...form, 'data.validation': '0.2' }, report)).toBe(String((4 * 800) / 32));
    expect(steps(form, null)).toBe('200');
    const files: Form['files'] = {
      'a.jsonl': { use: 'training', weight: '2' },
      'b.jsonl': { use: 'validation', weight: '1' },
    };
    expect(withPreset({ ...form, 'data.validation': '0.2', files }, 'paper', report)).toMatchObject(
      {
        files,
        'search.steps': String((4 * 1280) / 32),
      },
    );
  });
});

test('what files are used for stands in run.json and comes back; a share then has no use', () => {
  const files: Form['files'] = {
    'a.jsonl': { use: 'training', weight: '1' },
    'b.jsonl': { use: 'training', weight: '2.5' },
    'c.jsonl': { use: 'validation', weight: 'x' },
  };
  const filled = { ...defaultForm(), files, 'data.validation': 'x' };
  expect(configOf(filled).data).toMatchObject({
    validation: ['c.jsonl'],
    weights: { 'b.jsonl': 2.5 },
  });
  expect(formProblems(filled)).toEqual({});
  const { files: again, 'data.validation': validation } = formOf(
    parseRunConfig(configOf(filled), 'x'),
  );
  expect(again).toEqual({
    'b.jsonl': files['b.jsonl'],
    'c.jsonl': { use: 'validation', weight: '1' },
  });
  expect(validation).toBe('0.05');
  expect(dataOptionsOf(filled).whole).toEqual([]);
  expect(dataOptionsOf({ ...filled, 'data.limit': '9' }).whole).toEqual(['c.jsonl']);
});

test('messages of the engine name the fields', () => {
  expect(
    inWords(
      'It fits with train.microBatch 4 with adapter.experts 1, or data.maxLength 64; adapter.scale stays.',
    ),
  ).toBe('It fits with micro-batch 4 with experts 1, or max length 64; adapter.scale stays.');
});

test.each([
  ['', 'The weight of a: enter a number.'],
  ['two', 'The weight of a: “two” is not a number.'],
  ['0', 'The weight of a: enter a number above 0, at most 1000.'],
  ['1001', 'The weight of a: enter a number above 0, at most 1000.'],
])('the weight %j is refused', (weight, problem) => {
  expect(formProblems({ ...defaultForm(), files: { a: { use: 'training', weight } } }).files).toBe(
    problem,
  );
});

test.each([
  [['train.jsonl', 'valid.jsonl'], ['valid.jsonl']],
  [
    ['a/x_train.csv', 'a/x_dev.csv', 'x-test.csv'],
    ['a/x_dev.csv', 'x-test.csv'],
  ],
  [['contest.jsonl', 'evaluate.jsonl', 'latest.csv'], []],
  [['test.jsonl'], []],
  [['test.jsonl', 'dev.jsonl'], []],
])('of %j those for validation: %j', (names, held) => {
  expect(heldOut(usesByName(names))).toEqual(held);
});

test('the memory budget stands in MiB in its field and in bytes in run.json', () => {
  expect(configOf({ ...defaultForm(), memory: '1.5' })).toMatchObject({ memory: 1.5 * 2 ** 20 });
  expect(configOf(defaultForm())).toMatchObject({ memory: null });
  expect(formOf(parseRunConfig({ memory: 3 * 2 ** 20 }, 'x')).memory).toBe('3');
  expect(formProblems({ ...defaultForm(), memory: '-1' }).memory).toBeDefined();
  const kept = { memory: '7', 'data.turns': 'last' } as const;
  expect(withPreset({ ...defaultForm(), ...kept }, 'quick', null)).toMatchObject(kept);
});
