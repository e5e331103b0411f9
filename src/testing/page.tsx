// The page without workers, for tests: reports as workers give them, and what a person does on it.
import { act, fireEvent, render, screen } from '@testing-library/react';
import { vi } from 'vitest';
import { defaultRunConfig, parseRunConfig, searches } from '../settings/run-config.ts';
import { createActions } from '../state/actions.ts';
import { createAppStore } from '../state/store.ts';
import { App } from '../ui/App.tsx';
import { AppContext } from '../ui/context.ts';
import type {
  DatasetReport,
  DeviceReport,
  ModelReport,
  SearchReport,
} from '../worker/protocol/api.ts';
import type { BenchmarkReport } from '../worker/protocol/benchmark.ts';
import type { Client } from '../worker/protocol/client.ts';

export const training = {
  config: defaultRunConfig(),
  parameters: 5000,
  steps: 100,
  trainRows: 37,
  validationRows: 2,
  routed: [],
};

export const model: ModelReport = {
  name: 'tiny',
  architecture: 'Qwen2',
  parameters: 1_234_567,
  layers: 2,
  hidden: 32,
  heads: 4,
  kvHeads: 2,
  headDim: 8,
  feedForward: 64,
  vocab: 97,
  bytes: 4096,
  dtype: 'f16',
  hasTokenizer: true,
  hasTemplate: true,
  maxPositions: 512,
  kernels: { product: 'tile', rows: 'workgroup', attention: 'thread' },
};
export const dataset: DatasetReport = {
  files: ['rows.jsonl'],
  parts: [
    {
      name: 'rows.jsonl',
      rows: 40,
      badRows: 1,
      examples: 39,
      tokens: 400,
      formats: ['prompt–completion'],
    },
  ],
  rows: 40,
  formats: { 'prompt–completion': 39 },
  examples: 39,
  badRows: 1,
  bad: [
    { file: 'rows.jsonl', line: 3, kind: 'not-json', reason: 'not valid JSON', raw: '{"prompt"' },
  ],
  truncated: 2,
  tokens: 400,
  trainedTokens: 100,
  longest: 30,
  checks: { ends: 39, empty: 0, duplicates: 3, lengths: [{ upTo: 50, rows: 39 }] },
  previews: [
    {
      file: 'rows.jsonl',
      line: 1,
      choices: null,
      raw: '{"prompt":"Who","completion":" Ida too"}',
      rendered: 'Who Ida too',
      tokens: [
        { text: 'Who', mask: 'masked' },
        { text: ' Ida', mask: 'trained' },
        { text: ' too', mask: 'truncated' },
      ],
      length: 3,
      kept: 2,
    },
  ],
  limited: false,
  found: { file: 'rows.jsonl', columns: ['prompt', 'completion', 'A', 'B', 'system'] },
  heldOut: null,
};
export const benchmark: BenchmarkReport = {
  device: 'Test GPU',
  browser: 'Test browser',
  clock: 'timestamp queries',
  rows: [
    {
      name: 'device/copy',
      variant: null,
      milliseconds: 4.5,
      gflops: 0,
      ofProduct: null,
      ofLoop: null,
      bandwidth: 29.8,
      launches: null,
      tokensPerSecond: null,
    },
    {
      name: 'step/tiny/lora/1x128',
      variant: null,
      milliseconds: 1234.5,
      gflops: 5432,
      ofProduct: 61.2,
      ofLoop: 40,
      bandwidth: null,
      launches: 1539,
      tokensPerSecond: 103.7,
    },
  ],
  text: 'the table',
  json: '{}',
  measured: 2,
  cases: 2,
  problem: null,
};
/** What a worker throws for bad input. */
export const badInput = (code: string, message: string) =>
  Object.assign(new Error(message), { name: `InputError:${code}` });

/** A store with its actions, and a client that does nothing. */
export function createPage() {
  const trainer = {
    openDevice: vi.fn(
      async (): Promise<DeviceReport> => ({
        name: 'Test GPU',
        software: true,
        graphics: null,
        maxBindingBytes: 2 ** 30,
        subgroups: null,
        timestamps: false,
      }),
    ),
    loadModel: vi.fn(async () => model),
    estimateMemory: vi.fn(async (): Promise<unknown> => ({ stages: [], problem: null })),
    start: vi.fn(async () => undefined),
    proceed: vi.fn(async () => undefined),
    discard: vi.fn(),
    loadAdapter: vi.fn(),
    cancelLoading: vi.fn(),
    pause: vi.fn(),
    resume: vi.fn(),
    stop: vi.fn(),
    answer: vi.fn(async () => undefined),
    stopAnswer: vi.fn(),
    checkHeldOut: vi.fn(),
    exportAdapter: vi.fn(),
    benchmark: vi.fn(async () => benchmark),
    cancelBenchmark: vi.fn(),
  };
  const data = {
    openTokenizer: vi.fn(async () => ({ tokenizer: true, template: true })),
    read: vi.fn(async (): Promise<unknown> => dataset),
    cancel: vi.fn(),
    split: vi.fn(async () => ({ train: 37, validation: 2, overlap: 1, tokens: 380 })),
  };
  const library = { list: vi.fn(async () => []) };
  const app = createAppStore();
  const actions = createActions(app, {
    trainer,
    data,
    library: () => library,
    end: () => undefined,
  } as unknown as Client);
  const event: typeof app.dispatch = (e) => act(() => app.dispatch(e));
  const ready = async () => {
    event({ type: 'model-ready', report: model, demo: false });
    event({ type: 'data-ready', report: dataset, demo: false, files: {} });
    await settle();
  };
  return { trainer, data, app, actions, event, ready };
}

/** The whole page. */
export function openPage(page = createPage()) {
  render(
    <AppContext value={{ app: page.app, actions: page.actions }}>
      <App />
    </AppContext>,
  );
  return page;
}

/** The module path of a layer's one searched linear. */
export const sitePath = (layer: number) => `model.layers.${layer}.self_attn.q_proj`;
const sites = [0, 1].map((layer) => ({
  path: sitePath(layer),
  layer,
  target: 'q_proj' as const,
  inputs: 32,
  outputs: 32,
}));
/** A search over two linears, with a training after it or without. */
export const searchReport = (train: boolean): SearchReport => {
  const input = {
    search: { steps: 20 },
    adapter: { experts: 4, rank: 4, targets: ['q_proj'] },
    ...(train ? {} : { train: false }),
  };
  const config = parseRunConfig(input, 'test');
  if (!searches(config)) throw new Error('no search');
  const sizes = {
    experts: 4,
    rank: 4,
    topK: 2,
    closable: false,
    steps: 20,
    parameters: 900,
    microSteps: 2,
  };
  return { config, sites, sizes: 'experts', ...sizes, trainRows: 8, validationRows: 1 };
};

/**
 * Parts that are loaded when they are needed: loaded before the tests, so that they then come
 * within a few turns.
 */
export const parts = () =>
  Promise.all([
    import('../ui/model/ModelSummary.tsx'),
    import('../ui/data/DatasetSummary.tsx'),
    import('../ui/data/ColumnsForm.tsx'),
    import('../ui/data/PasteRows.tsx'),
    import('../ui/data/ReadingOptions.tsx'),
    import('../ui/train/Settings.tsx'),
    import('../ui/train/Live.tsx'),
    import('../ui/review/ReviewPanel.tsx'),
    import('../ui/search/SearchLive.tsx'),
    import('../ui/shell/Shortcuts.tsx'),
    import('../ui/shell/Benchmark.tsx'),
  ]);
/** Lets what was begun come to its end. */
export const settle = async () => {
  for (let turn = 0; turn < 3; turn++) await act(parts);
};

export const button = (name: string | RegExp) =>
  screen.getByRole<HTMLButtonElement>('button', { name });
export const press = (name: string | RegExp) => act(async () => fireEvent.click(button(name)));
/** Whether a button can't be pressed now, plain or of a command. */
export const isOff = (name: string | RegExp): boolean =>
  button(name).disabled || button(name).getAttribute('aria-disabled') === 'true';
