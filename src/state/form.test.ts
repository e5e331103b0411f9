// The settings form: to run.json and back, mistakes by field, trainable parameters.
import { describe, expect, test } from 'vitest';
import { parseRunConfig, parseTrainingConfig } from '../train/config.ts';
import { DEMO_RUN } from '../train/demo.ts';
import type { ModelReport } from '../worker/api.ts';
import { configOf, defaultForm, fields, formOf, formProblems, trainableParameters } from './form.ts';

const form = defaultForm();

describe('form and run.json', () => {
  test('the default form is a run.json that can be taken', () => {
    expect(formProblems(form)).toEqual({});
    expect(parseRunConfig(configOf(form), 'form').train).toMatchObject({ batch: 16, microBatch: 8, steps: 100 });
  });

  test('a configuration survives the way through the form', () => {
    const config = parseTrainingConfig({ ...DEMO_RUN, seed: 7, train: { ...DEMO_RUN.train, clipNorm: null } }, 'test');
    expect(parseRunConfig(configOf(formOf(config)), 'form')).toEqual(config);
  });

  test('every field stands in run.json', () => {
    const config = configOf(form) as Record<string, unknown>;
    for (const { path } of Object.values(fields)) {
      const value = path.split('.').reduce<unknown>((v, key) => (v as Record<string, unknown>)[key], config);
      expect(value, path).not.toBeUndefined();
    }
  });

  test('numbers may be written as 3e-4, and empty optional fields are null', () => {
    const config = configOf({ ...form, learningRate: ' 3e-4 ', clipNorm: '', evaluateEvery: ' ' });
    expect(config.train).toMatchObject({ learningRate: 3e-4, clipNorm: null, evaluateEvery: null });
  });
});

describe('mistakes', () => {
  test.each([
    ['steps', '', 'a number is needed here'],
    ['steps', '1.5', /int/],
    ['steps', '0', />=1/],
    ['learningRate', 'fast', '“fast” is not a number'],
    ['dropout', '1', /<1/],
    ['batch', '12', 'must be a multiple of micro-batch (8)'],
    ['topK', '9', 'must not be above experts (8)'],
    ['maxLength', '1', />=2/],
  ] as const)('%s = %j', (name, value, message) => {
    const problems = formProblems({ ...form, [name]: value });
    expect(Object.keys(problems)).toEqual([name]);
    if (message instanceof RegExp) expect(problems[name]).toMatch(message);
    else expect(problems[name]).toBe(message);
  });

  test('fields that plain LoRA has no use for are not looked at', () => {
    expect(formProblems({ ...form, method: 'lora', topK: 'x', experts: '' })).toEqual({});
  });
});

test('trainable parameters are those of the method', () => {
  const model = { layers: 2, hidden: 32, heads: 4, kvHeads: 2, headDim: 8, feedForward: 64 } as ModelReport;
  const sites = 32 + 32 + (32 + 16) * 2 + 32 + 32 + (32 + 64) * 3; // Σ (C + O) of a layer
  const inputs = 32 * 6 + 64; // Σ C
  expect(trainableParameters({ ...form, method: 'lora', rank: '4' }, model)).toBe(2 * 4 * sites);
  expect(trainableParameters({ ...form, rank: '4', experts: '3' }, model)).toBe(2 * (3 * 4 * sites + 3 * inputs));
  expect(trainableParameters({ ...form, rank: 'x' }, model)).toBeNull();
});
