// run.json: its defaults, its mistakes by path and value, its JSON Schema; and the learning-rate
// schedule.
import { describe, expect, test } from 'vitest';
import { learningRate, totalSteps } from '../train/schedule.ts';
import { InputError } from '../util/error.ts';
import { defaultRunConfig, parseRunConfig, parseTrainingConfig, runJson } from './run-config.ts';

const parse = (json: unknown) => parseRunConfig(json, 'run.json');

describe('run.json', () => {
  test('an empty one has all the defaults', () => {
    expect(parse({})).toMatchObject({
      seed: 1,
      data: {
        maxLength: 256,
        shuffle: true,
        validation: 0.05,
        weights: {},
        completionOnly: true,
        turns: 'all',
        packing: false,
        template: 'auto',
        columns: null,
        system: null,
        limit: null,
      },
      memory: null,
      adapter: {
        method: 'lora-moe',
        targets: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
        rank: 8,
        experts: 8,
        topK: 2,
        alpha: 16,
        dropout: 0.05,
        scale: 'constant',
        balance: 0.001,
        parameters: null,
      },
      allocation: 'uniform',
      search: false,
      train: {
        steps: 100,
        epochs: null,
        batch: 64,
        microBatch: 16,
        learningRate: 3e-4,
        schedule: 'linear',
        warmupSteps: 0,
        weightDecay: 0,
        clipNorm: 1,
        evaluateEvery: null,
      },
    });
    expect(defaultRunConfig()).toEqual(parse({}));
  });

  test('a resolved config reads back unchanged; defaults are not shared between runs', () => {
    const config = parse({
      seed: 7,
      adapter: { rank: 4 },
      allocation: { experts: 'e.json', ranks: 'r.json' },
      train: { epochs: 0.5, clipNorm: null },
    });
    expect(parse(JSON.parse(JSON.stringify(config)))).toEqual(config);
    config.adapter.targets.pop();
    expect(defaultRunConfig().adapter.targets.length).toBe(7);
  });

  test.each([
    'uniform',
    'mola-2468',
    'mola-8642',
    'mola-5555',
    'mola-8888',
    'mola-2882',
    'hilo',
    'random',
  ])('allocation %s', (allocation) => {
    const config = parse({ allocation, adapter: { parameters: 12_345 } });
    expect(config).toMatchObject({ allocation, adapter: { parameters: 12_345 } });
    expect(parse(JSON.parse(JSON.stringify(config)))).toEqual(config);
  });

  test('a search: its defaults, its allocation, and no training after it', () => {
    const config = parse({ search: {}, train: false });
    expect(config).toMatchObject({ allocation: 'search', train: false });
    expect(config.search).toMatchObject({
      estimator: 'survival',
      sizes: 'argmax',
      order: 'first-order',
      split: 'disjoint',
      steps: 200,
      batch: 64,
      microBatch: 16,
      learningRate: 3e-4,
      schedule: 'linear',
      warmupSteps: 0,
      lowerOnlySteps: 0,
      weightDecay: 0,
      clipNorm: 1,
      upperLearningRate: 3e-3,
      cost: 0,
      budget: null,
      closable: false,
    });
    expect(parse(JSON.parse(JSON.stringify(config)))).toEqual(config);
    expect(() => parseTrainingConfig({ search: {}, train: false }, 'run.json')).toThrow(
      'train is false',
    );
  });

  test('targets come out in the order of a layer', () => {
    expect(parse({ adapter: { targets: ['down_proj', 'q_proj'] } }).adapter.targets).toEqual([
      'q_proj',
      'down_proj',
    ]);
  });

  test('keys of another method are refused by name; resolved settings are flat', () => {
    expect(() => parse({ adapter: { method: 'lora', experts: 1, topK: 5, expert: 1 } })).toThrow(
      'unknown key "adapter.experts" for method "lora" (it belongs to lora-moe); unknown key "adapter.topK" for method "lora" (it belongs to lora-moe); unknown key "adapter.expert".',
    );
    expect(() => parse({ adapter: { method: 'lora' }, allocation: 'hilo' })).toThrow(
      'allocation is "hilo": does not apply to method "lora" (it belongs to lora-moe)',
    );
    const config = parse({ adapter: { method: 'lora', parameters: 99 }, allocation: 'uniform' });
    expect(config.adapter).toMatchObject({ experts: 8, topK: 2, balance: 0.001, parameters: 99 });
    expect(Object.keys(runJson(config).adapter).sort()).toEqual([
      'alpha',
      'dropout',
      'method',
      'parameters',
      'rank',
      'targets',
    ]);
    expect(parse(JSON.parse(JSON.stringify(runJson(config))))).toEqual(config);
    const mixture = parse({});
    expect(runJson(mixture)).toEqual(mixture);
  });

  const cases: [unknown, string][] = [
    [[], 'the contents'],
    [null, 'the contents'],
    [{ sed: 1 }, 'unknown key "sed"'],
    [{ train: { lr: 1, foo: 2 } }, 'unknown key "train.lr"; unknown key "train.foo"'],
    [{ seed: -1 }, 'seed is -1'],
    [{ seed: 1.5 }, 'seed is 1.5'],
    [{ train: 3 }, 'train is 3: expected false or training settings'],
    [
      { train: { batch: 10, microBatch: 4 } },
      'train.batch is 10: must be a multiple of train.microBatch (4)',
    ],
    [{ train: { batch: 8 } }, 'train.batch is 8: must be a multiple of train.microBatch (16)'],
    [{ train: { microBatch: 0 } }, 'train.microBatch is 0'],
    [{ train: { steps: '100' } }, 'train.steps is "100": expected number'],
    [{ train: { epochs: 0 } }, 'train.epochs is 0'],
    [
      { train: { schedule: 'step' } },
      'train.schedule is "step": expected one of "linear"|"cosine"|"constant"',
    ],
    [{ train: { clipNorm: 0 } }, 'train.clipNorm is 0'],
    [{ train: { learningRate: -1 } }, 'train.learningRate is -1'],
    [{ adapter: { topK: 9 } }, 'adapter.topK is 9: must not exceed adapter.experts (8)'],
    [
      { adapter: { topK: 1 } },
      'adapter.topK is 1: must be 2 or more with several experts: with one kept, its weight is always 1',
    ],
    [{ adapter: { topK: 1 }, search: {} }, 'adapter.topK is 1: must be 2 or more'],
    [{ adapter: { targets: ['lm_head'] } }, 'adapter.targets.0 is "lm_head"'],
    [{ adapter: { targets: [] } }, 'adapter.targets is []'],
    [{ adapter: { targets: ['q_proj', 'q_proj'] } }, 'names a linear twice'],
    [{ adapter: { dropout: 1 } }, 'adapter.dropout is 1'],
    [
      { adapter: { method: 'dora' } },
      'adapter.method is "dora": expected one of "lora-moe"|"lora"',
    ],
    [{ adapter: 3 }, 'adapter is 3: expected object'],
    [{ allocation: 'mola' }, 'allocation is "mola": expected "uniform", "search", "mola-2468", '],
    [
      { allocation: 'mola' },
      '"hilo", "random", {"experts": FILE, "ranks": FILE}, or with one rank per linear {"ranks": FILE}',
    ],
    [
      { allocation: 'mola-2468', adapter: { experts: 6 } },
      'allocation is "mola-2468": needs adapter.experts 8 or more, not 6',
    ],
    [
      { allocation: 'hilo', adapter: { rank: 4 } },
      'allocation is "hilo": needs adapter.rank 8 or more, not 4',
    ],
    [{ adapter: { parameters: 0 } }, 'adapter.parameters is 0'],
    [{ adapter: { parameters: 1.5 } }, 'adapter.parameters is 1.5'],
    [{ allocation: { experts: 'e.json' } }, 'allocation'],
    [{ search: true }, 'search is true: expected false or search settings'],
    [
      { search: { stepz: 1, lower: { lr: 2 } } },
      'unknown key "search.stepz"; unknown key "search.lower"',
    ],
    [{ search: { steps: 0 } }, 'search.steps is 0'],
    [
      { search: { estimator: 'darts' } },
      'search.estimator is "darts": expected one of "survival"|"paper"',
    ],
    [
      { search: { batch: 10, microBatch: 4 } },
      'search.batch is 10: must be a multiple of search.microBatch (4)',
    ],
    [{ search: { budget: 1.5 } }, 'search.budget is 1.5'],
    [{ search: { budget: 0.2, cost: 1 } }, 'search.cost is 1: cannot be combined with a budget'],
    [
      { search: { estimator: 'paper', sizes: 'sampled' } },
      'search.sizes is "sampled": needs estimator "survival"',
    ],
    [{ search: { estimator: 'paper', cost: 1 } }, 'search.cost is 1: needs estimator "survival"'],
    [
      { search: { estimator: 'paper', budget: 0.5 } },
      'search.budget is 0.5: needs estimator "survival"',
    ],
    [
      { search: { estimator: 'paper', closable: true } },
      'search.closable is true: needs estimator "survival"',
    ],
    [
      { search: {}, allocation: 'uniform' },
      'allocation is "uniform": the search finds the allocation',
    ],
    [{ allocation: 'search' }, 'allocation is "search": needs search settings'],
    [
      { search: { estimator: 'paper' }, adapter: { method: 'lora' } },
      'search.estimator is "paper": does not apply to method "lora" (it belongs to lora-moe)',
    ],
    [
      { allocation: { experts: 'e.json', ranks: 'r.json' }, adapter: { method: 'lora' } },
      'does not apply to method "lora" (it belongs to lora-moe)',
    ],
    [{ allocation: { ranks: 'r.json' } }, 'needs a file of experts'],
    [{ train: false }, 'train is false: there is nothing to do'],
    [{ data: { maxLength: 1 } }, 'data.maxLength is 1'],
    [{ data: { validation: 1 } }, 'data.validation is 1'],
    [{ data: { template: 'chatml' } }, 'data.template is "chatml"'],
    [{ data: { columns: { prompt: 'q' } } }, 'data.columns.completion'],
    [{ data: { columns: { instruction: 'q', output: 3 } } }, 'data.columns.output is 3'],
    [{ data: { columns: { messages: 'm', prompt: 'q' } } }, 'unknown key "data.columns.prompt"'],
    [{ data: { columns: { question: 'q', choices: ['a'], answer: 'b' } } }, 'data.columns.choices'],
    [
      { data: { columns: { q: 'a' } } },
      'data.columns is {"q":"a"}: expected the columns of one format: {prompt, completion, system}',
    ],
    [{ data: { columns: 'q' } }, 'data.columns is "q": expected the columns of one format'],
    [{ data: { system: ' ' } }, 'data.system is " ": expected text that is not empty, or null'],
    [{ data: { limit: 0 } }, 'data.limit is 0'],
  ];
  test.each(cases)('%j', (json, message) => {
    expect(() => parse(json)).toThrow(InputError);
    expect(() => parse(json)).toThrow(message);
    expect(() => parse(json)).toThrow(/^run\.json: /);
  });
});

describe('learning rate', () => {
  const at = (schedule: 'linear' | 'cosine' | 'constant', warmupSteps: number, total: number) =>
    Array.from({ length: total }, (_, s) =>
      learningRate({ learningRate: 3, schedule, warmupSteps }, s, total),
    );
  const close = (a: number[], b: number[]) => {
    expect(a.length).toBe(b.length);
    for (const [i, v] of a.entries()) expect(v).toBeCloseTo(b[i], 12);
  };

  test('warm-up starts at 0 and ends at the peak; linear goes on towards 0', () => {
    close(at('linear', 3, 6), [0, 1, 2, 3, 2, 1]);
    close(at('linear', 0, 3), [3, 2, 1]);
  });
  test('cosine and constant', () => {
    close(at('cosine', 1, 5), [0, 3, 1.5 * (1 + Math.SQRT1_2), 1.5, 1.5 * (1 - Math.SQRT1_2)]);
    close(at('constant', 2, 4), [0, 1.5, 3, 3]);
  });
  test('a warm-up as long as the run or longer stays finite', () => {
    close(at('linear', 4, 4), [0, 0.75, 1.5, 2.25]);
    close(at('cosine', 8, 2), [0, 0.375]);
  });
  test('epochs come to steps: incomplete batches left out per epoch when shuffled, once when not', () => {
    const train = { steps: 9, epochs: 3, batch: 4 };
    expect(totalSteps({ ...train, epochs: null }, true, 10)).toBe(9);
    expect(totalSteps(train, true, 10)).toBe(6);
    expect(totalSteps(train, false, 10)).toBe(7);
    expect(totalSteps({ ...train, epochs: 0.1 }, true, 10)).toBe(1);
  });
});
