// The page's state: what events make of it.

import { describe, expect, test } from 'vitest';
import { uniformAllocation } from '../allocation/allocation.ts';
import { defaultRunConfig, parseRunConfig, searches } from '../settings/run-config.ts';
import type { FailureCode } from '../util/error.ts';
import type { Task } from '../util/task.ts';
import type {
  AdapterReport,
  DatasetReport,
  ModelReport,
  RunReport,
  SearchReport,
  StepSeries,
  UpperSeries,
} from '../worker/protocol/api.ts';
import type { Action } from './events.ts';
import { answerOptions, questionProblems } from './question.ts';
import { hasAdapter, isGoing, isOpen } from './run.ts';
import { hasTuned, initialState, reduce, type State, titleOf } from './state.ts';
import { createAppStore } from './store.ts';

const model: ModelReport = {
  name: 'tiny',
  architecture: 'Llama',
  parameters: 1000,
  layers: 2,
  hidden: 32,
  heads: 4,
  kvHeads: 2,
  headDim: 8,
  feedForward: 64,
  vocab: 97,
  bytes: 4000,
  dtype: 'f32',
  hasTokenizer: true,
  hasTemplate: false,
  maxPositions: 512,
  kernels: { product: 'tile', rows: 'workgroup', attention: 'thread' },
};
const dataset: DatasetReport = {
  files: ['rows.jsonl'],
  parts: [
    {
      name: 'rows.jsonl',
      rows: 10,
      badRows: 1,
      examples: 9,
      tokens: 90,
      formats: ['prompt–completion'],
    },
  ],
  rows: 10,
  formats: { 'prompt–completion': 9 },
  examples: 9,
  badRows: 1,
  bad: [{ file: 'rows.jsonl', line: 3, kind: 'not-json', reason: 'not valid JSON', raw: '{' }],
  truncated: 0,
  tokens: 90,
  trainedTokens: 30,
  longest: 12,
  checks: { ends: 9, empty: 0, duplicates: 0, lengths: [{ upTo: 20, rows: 9 }] },
  previews: [],
  heldOut: null,
  limited: false,
  found: null,
};
const runReport: RunReport = {
  config: defaultRunConfig(),
  parameters: 500,
  steps: 40,
  trainRows: 8,
  validationRows: 1,
  routed: [],
};
const series = (...steps: number[]): StepSeries => {
  const column = (f: (s: number) => number) => Float64Array.from(steps, f);
  return {
    step: column((s) => s),
    loss: column((s) => 10 / s),
    ce: column((s) => 10 / s),
    balance: column(() => 1),
    lr: column(() => 0.1),
    gradNorm: column(() => 2),
    tokens: column(() => 50),
    seconds: column((s) => s / 2),
  };
};
const following = (...events: Action[]): State => events.reduce(reduce, initialState());
const trained: Action[] = [
  { type: 'model-ready', report: model, demo: false },
  { type: 'data-ready', report: dataset, demo: false, files: {} },
  { type: 'run-asked', stage: 'train' },
  { type: 'training-began', report: runReport },
  { type: 'phase', phase: 'training' },
  { type: 'steps', stage: 'train', series: series(1, 2, 3), total: 40 },
];

describe('model and data', () => {
  test('a new model forgets data, run, answers and export', () => {
    const state = following(
      ...trained,
      { type: 'phase', phase: 'stopped' },
      { type: 'model-ready', report: { ...model, name: 'other' }, demo: true },
    );
    expect(state.model).toEqual({
      status: 'ready',
      report: { ...model, name: 'other' },
      demo: true,
    });
    expect(state.data.report).toBeNull();
    expect(state.run.phase).toBe('idle');
    expect(state.run.step).toBe(0);
  });

  test('a model that cannot be used leaves the one before in place', () => {
    expect(following({ type: 'model-loading' }, { type: 'model-failed' }).model.status).toBe(
      'none',
    );
    const state = following(
      ...trained.slice(0, 2),
      { type: 'model-loading' },
      { type: 'model-failed' },
    );
    expect(state.model.status).toBe('ready');
    expect(state.model.report?.name).toBe('tiny');
    expect(state.data.report).toBe(dataset);
  });

  const at = (task: Task, done: number): Action => ({
    type: 'progress',
    task,
    done,
    total: 4,
    unit: 'rows',
  });

  test('the stages of loading stand in order, each with its latest progress; each beginning is said once', () => {
    const started = following(
      { type: 'model-loading' },
      at('reading', 0),
      at('reading', 2),
      at('uploading', 0),
    );
    expect(started.loading.map((p) => [p.task, p.done])).toEqual([
      ['reading', 2],
      ['uploading', 0],
    ]);
    expect(started.announcement).toBe('Uploading the weights.');
    const said = reduce({ ...started, announcement: '' }, at('uploading', 3));
    expect([said.announcement, said.loading[1].done, said.progress]).toEqual(['', 3, null]);
    expect(reduce(said, { type: 'model-loading' }).loading).toEqual([]);
    const after = following(trained[0], at('answering', 1));
    expect([after.loading, after.progress?.task]).toEqual([[], 'answering']);
  });

  test('a cancelled loading leaves the model before in place, says so, and is no problem', () => {
    const none = following({ type: 'model-loading' }, at('reading', 0), {
      type: 'model-cancelled',
    });
    expect([none.model.status, none.announcement, none.notices]).toEqual([
      'none',
      'Loading was cancelled.',
      [],
    ]);
    const state = following(
      ...trained.slice(0, 2),
      { type: 'model-loading' },
      { type: 'model-cancelled' },
    );
    expect([state.model.status, state.model.report?.name, state.data.report]).toEqual([
      'ready',
      'tiny',
      dataset,
    ]);
  });

  test('columns are asked for instead of data, and the answer replaces the question', () => {
    const asked = following(trained[0], {
      type: 'data-columns',
      columns: { file: 'a.csv', columns: ['x', 'y'] },
    });
    expect(asked.data.columns?.columns).toEqual(['x', 'y']);
    expect(asked.data.report).toBeNull();
    expect(reduce(asked, trained[1]).data.columns).toBeNull();
  });
});

describe('the run', () => {
  test('follows its events', () => {
    const state = following(
      ...trained,
      { type: 'speed', tokensPerSecond: 120, secondsPerStep: 0.5, secondsLeft: 9 },
      { type: 'validation', step: 3, loss: 4.5 },
    );
    expect(state.run).toMatchObject({
      phase: 'training',
      step: 3,
      total: 40,
      loss: 10 / 3,
      seconds: 1.5,
      tokensPerSecond: 120,
      secondsLeft: 9,
    });
    expect(state.run.validation).toBe(4.5);
  });

  test('an adapter is there once a step is done and the device is free', () => {
    const going = following(...trained);
    expect([isOpen('training'), isGoing('training'), hasAdapter(going.run)]).toEqual([
      true,
      true,
      false,
    ]);
    const paused = reduce(going, { type: 'phase', phase: 'paused' });
    expect([isOpen('paused'), isGoing('paused'), hasAdapter(paused.run)]).toEqual([
      true,
      false,
      true,
    ]);
    expect(
      hasAdapter(following(...trained.slice(0, 4), { type: 'phase', phase: 'paused' }).run),
    ).toBe(false);
    // as it was before the step that failed
    expect(hasAdapter(reduce(going, { type: 'phase', phase: 'failed' }).run)).toBe(true);
    expect(
      hasAdapter(following(...trained.slice(0, 4), { type: 'phase', phase: 'failed' }).run),
    ).toBe(false);
  });

  test('a refused start leaves no run; a new start forgets the old run', () => {
    expect(following(...trained.slice(0, 3), { type: 'run-refused' }).run.phase).toBe('idle');
    const again = following(
      ...trained,
      { type: 'phase', phase: 'finished' },
      { type: 'run-asked', stage: 'train' },
    );
    expect(again.run).toMatchObject({ phase: 'loading', step: 0, loss: null, report: null });
  });

  test('what was asked for is pending until the next phase', () => {
    const asked = following(...trained, { type: 'pending', what: 'pause' });
    expect(asked.pending).toBe('pause');
    expect(reduce(asked, { type: 'phase', phase: 'paused' }).pending).toBeNull();
    const cancelled = following({ type: 'model-loading' }, { type: 'pending', what: 'cancel' });
    expect(reduce(cancelled, { type: 'model-cancelled' }).pending).toBeNull();
  });

  test('milestones are announced, steps are not', () => {
    const state = following(...trained);
    expect(state.announcement).toBe('Training has begun: 40 steps.');
    expect(reduce(state, { type: 'phase', phase: 'paused' }).announcement).toBe(
      'Paused at step 3 of 40.',
    );
  });
});

const search = (() => {
  const config = parseRunConfig(
    { search: { steps: 20 }, adapter: { experts: 2, rank: 3, targets: ['q_proj'] } },
    'test',
  );
  if (!searches(config)) throw new Error('no search');
  const report: SearchReport = {
    config,
    sites: [0, 1].map((layer) => ({
      path: `model.layers.${layer}.self_attn.q_proj`,
      layer,
      target: 'q_proj',
      inputs: 32,
      outputs: 32,
    })),
    sizes: 'experts',
    experts: 2,
    rank: 3,
    topK: 2,
    closable: false,
    steps: 20,
    trainRows: 8,
    validationRows: 1,
    parameters: 900,
    microSteps: 2,
  };
  return report;
})();
const found = uniformAllocation(2, ['q_proj'], 2, 3);
const upper = (...steps: number[]): UpperSeries => ({
  step: Float64Array.from(steps),
  loss: Float64Array.from(steps, (s) => (s === 0 ? Number.NaN : 5 / s)),
  lambda: new Float64Array(steps.length),
  share: new Float64Array(steps.length),
  values: new Float32Array(steps.length * 2 * (2 + 2 * 3)),
});
const searched: Action[] = [
  ...trained.slice(0, 2),
  { type: 'run-asked', stage: 'search' },
  { type: 'search-began', report: search },
  { type: 'phase', phase: 'searching' },
  { type: 'upper', series: upper(0, 1, 2), total: 20 },
  { type: 'steps', stage: 'search', series: series(1), total: 10 },
];
const review = (change = {}): Action[] => [
  ...searched,
  { type: 'review', report: { found, step: 20, complete: true, problem: null, ...change } },
  { type: 'phase', phase: 'review' },
];

describe('a run with a search', () => {
  test('follows upper steps and lower updates, apart from those of the training', () => {
    const { run } = following(...searched);
    expect(run).toMatchObject({
      stage: 'search',
      searchStep: 2,
      searchTotal: 20,
      upperLoss: 2.5,
      lowerLoss: 10,
      lowerUpdates: 1,
    });
    expect([run.step, run.loss, hasAdapter({ ...run, phase: 'paused' })]).toEqual([0, null, false]);
    expect([isOpen('searching'), isGoing('searching')]).toEqual([true, true]);
  });

  test('waits in its review with the device free, then trains', () => {
    const state = following(...review());
    expect(state.run).toMatchObject({ stage: 'review', phase: 'review' });
    expect([isOpen('review'), isGoing('review')]).toEqual([true, false]);
    expect(state.review).toMatchObject({ autoContinue: true, draft: { allocation: found } });
    expect(state.announcement).toContain('Training follows in 20 seconds');
    const asked = reduce(state, { type: 'proceed-asked' });
    expect(asked.run).toMatchObject({ stage: 'train', phase: 'loading', search });
    expect(reduce(asked, { type: 'proceed-refused' }).run).toMatchObject({
      stage: 'review',
      phase: 'review',
    });
    const going = [
      { type: 'training-began', report: runReport } as const,
      ...trained.slice(4),
    ].reduce(reduce, asked);
    expect(going.run).toMatchObject({ stage: 'train', phase: 'training', step: 3, searchStep: 2 });
  });

  test.each([
    ['stopped early', { complete: false, step: 7 }, {}],
    [
      'with a number of parameters out of reach',
      { problem: { code: 'bad-config', message: 'adapter.parameters is …' } },
      {},
    ],
    ['where a person said so', {}, { waitAtReview: true }],
  ])('does not go on by itself %s', (_, change, form) => {
    const state = [{ type: 'form', change: form } as const, ...review(change)].reduce<State>(
      reduce,
      initialState(),
    );
    expect(state.review?.autoContinue).toBe(false);
    expect(state.announcement).not.toContain('seconds');
  });

  test('a new run forgets the review', () => {
    expect(following(...review(), { type: 'run-asked', stage: 'train' }).review).toBeNull();
  });
});

const report: AdapterReport = {
  name: 'a.zip',
  method: 'lora-moe',
  parameters: 5,
  base: 'tiny',
  validation: 0.1,
};

describe('an opened adapter', () => {
  test('takes the place of a run, and a run or a model takes its place', () => {
    const opened = following(
      ...trained,
      { type: 'phase', phase: 'finished' },
      { type: 'adapter-ready', report },
    );
    expect([opened.adapter, opened.run.phase, hasTuned(opened), hasAdapter(opened.run)]).toEqual([
      report,
      'idle',
      true,
      false,
    ]);
    expect(hasTuned(reduce(opened, { type: 'run-asked', stage: 'train' }))).toBe(false);
    expect(hasTuned(reduce(opened, { type: 'model-ready', report: model, demo: false }))).toBe(
      false,
    );
  });
});

describe('answers', () => {
  test('a question stays as it is typed; the demo brings one only where there is none', () => {
    const demo: Action = { type: 'model-ready', report: model, demo: true };
    expect(following(demo).question.prompt).toMatch(/fox/);
    const typed = following({ type: 'question', change: { prompt: 'Who?', length: '0' } }, demo);
    expect(answerOptions(typed.question, typed.form)).toMatchObject({
      prompt: 'Who?',
      temperature: 0,
      system: null,
      raw: false,
    });
    expect(Object.keys(questionProblems(typed.question))).toEqual(['length']);
  });

  test('come side by side, and those of an earlier question are left out', () => {
    const state = following(
      { type: 'asked', id: 1, prompt: 'old' },
      { type: 'asked', id: 2, prompt: 'new' },
      { type: 'answer', id: 1, which: 'base', text: 'late', tokens: 1, done: true },
      { type: 'answer', id: 2, which: 'base', text: 'a', tokens: 1, done: false },
      { type: 'answer', id: 2, which: 'base', text: 'a b', tokens: 2, done: true },
      { type: 'answer', id: 2, which: 'tuned', text: 'c', tokens: 1, done: false },
    );
    expect(state.chat.exchange?.answers).toEqual({
      base: { text: 'a b', tokens: 2, done: true },
      tuned: { text: 'c', tokens: 1, done: false },
    });
  });
});

describe('notices', () => {
  let id = 0;
  const failure = (message: string, code: FailureCode = 'bad-data'): Action => ({
    type: 'failure',
    id: ++id,
    code,
    message,
  });
  test('of a failed attempt go when a later one succeeds, whatever they say; others stay', () => {
    const codesAfter = (event: Action) =>
      reduce(
        following(
          failure('x', 'bad-data'),
          failure('x', 'bad-adapter'),
          failure('x', 'bad-model'),
          failure('x', 'internal'),
        ),
        event,
      ).notices.map(({ code }) => code);
    expect(codesAfter({ type: 'data-ready', report: dataset, demo: false, files: {} })).toEqual([
      'bad-adapter',
      'bad-model',
      'internal',
    ]);
    expect(codesAfter({ type: 'adapter-ready', report })).toEqual([
      'bad-data',
      'bad-model',
      'internal',
    ]);
    expect(codesAfter({ type: 'model-ready', report: model, demo: false })).toEqual([]);
  });
  test('get an id each from the store; the reducer is pure', () => {
    const app = createAppStore();
    app.dispatch({ type: 'failure', code: 'hub', message: 'a' });
    app.dispatch({ type: 'failure', code: 'hub', message: 'b' });
    const [first, second] = app.getState().notices;
    expect(first.id).not.toBe(second.id);
    const event = failure('a');
    expect(reduce(initialState(), event)).toEqual(reduce(initialState(), event));
  });
  test('have a title by code, are shown once, at most four, and can be dismissed', () => {
    const state = following(
      failure('a'),
      failure('a'),
      failure('b'),
      failure('c'),
      failure('d'),
      failure('e'),
    );
    expect(state.notices.map((n) => n.message)).toEqual(['b', 'c', 'd', 'e']);
    expect(titleOf(state.notices[0])).toBe('This data cannot be used');
    const left = reduce(state, { type: 'dismiss', id: state.notices[1].id });
    expect(left.notices.map((n) => n.message)).toEqual(['b', 'd', 'e']);
    expect(titleOf(following(failure('x', 'internal')).notices[0])).toBe('Something went wrong');
  });
});

describe('the store', () => {
  test('keeps the series beside the state, and clears it when a run is asked for', () => {
    const app = createAppStore();
    for (const event of trained) app.dispatch(event);
    app.dispatch({ type: 'steps', stage: 'train', series: series(4), total: 40 });
    app.dispatch({ type: 'validation', step: 4, loss: 2 });
    expect(Array.from(app.series.steps('train').step)).toEqual([1, 2, 3, 4]);
    expect(app.series.validation).toEqual([{ step: 4, loss: 2 }]);
    expect(app.getState().run.step).toBe(4);
    app.dispatch({ type: 'run-asked', stage: 'train' });
    expect(app.series.length('train')).toBe(0);
    expect(app.series.validation).toEqual([]);
  });

  test('keeps the history of a search and the routing of its training', () => {
    const app = createAppStore();
    for (const event of review()) app.dispatch(event);
    expect(app.history?.lastStep).toBe(2);
    expect([...app.series.upper.step]).toEqual([1, 2]);
    expect([...app.series.steps('search').loss]).toEqual([10]);
    expect(app.routing).toBeNull();
    const routed = [{ path: search.sites[0].path, experts: 2 }];
    app.dispatch({ type: 'training-began', report: { ...runReport, routed } });
    app.dispatch({ type: 'routing', shares: Float32Array.of(0.25, 0.75) });
    expect([...app.routing!.shares]).toEqual([0.25, 0.75]);
    app.dispatch({ type: 'run-asked', stage: 'search' });
    expect([app.history, app.routing, app.series.upper.step.length]).toEqual([null, null, 0]);
  });
});
