// @vitest-environment happy-dom
// The page's parts on a store without workers: what is shown in which state, and which commands are given.
import { act, cleanup, fireEvent, render, screen, within } from '@testing-library/react';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createActions } from '../state/actions.ts';
import { createAppStore } from '../state/store.ts';
import { defaultRunConfig } from '../train/config.ts';
import type { DatasetReport, ModelReport } from '../worker/api.ts';
import type { Client } from '../worker/client.ts';
import { App } from './App.tsx';
import { AppContext } from './context.ts';

const training = { config: defaultRunConfig(), parameters: 5000, steps: 100, trainRows: 37, validationRows: 2, routed: [] };

vi.mock('./train/LossChart.tsx', () => ({ default: () => <div>chart</div> })); // needs a canvas; the end-to-end tests see it

const model: ModelReport = {
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
};
const dataset: DatasetReport = {
  files: ['rows.jsonl'],
  rows: 40,
  examples: 39,
  badRows: 1,
  bad: [{ file: 'rows.jsonl', line: 3, reason: 'not valid JSON', raw: '{"prompt"' }],
  truncated: 2,
  tokens: 400,
  trainedTokens: 100,
  longest: 30,
  sample: [
    { text: 'Who', trained: false },
    { text: ' Ida', trained: true },
  ],
  sampleMore: 4,
  heldOut: null,
};
const badInput = (code: string, message: string) => Object.assign(new Error(message), { name: `InputError:${code}` });

function open() {
  const trainer = {
    openDevice: vi.fn(async () => ({ name: 'Test GPU', software: true, maxBindingBytes: 2 ** 30, subgroups: null, timestamps: false })),
    loadModel: vi.fn(async () => model),
    start: vi.fn(async () => undefined),
    proceed: vi.fn(async () => undefined),
    discard: vi.fn(),
    loadAdapter: vi.fn(),
    pause: vi.fn(),
    resume: vi.fn(),
    stop: vi.fn(),
    answer: vi.fn(async () => undefined),
    stopAnswer: vi.fn(),
    checkHeldOut: vi.fn(),
    exportAdapter: vi.fn(),
  };
  const data = {
    openTokenizer: vi.fn(async () => ({ tokenizer: true, template: true })),
    read: vi.fn(async (): Promise<unknown> => dataset),
  };
  const app = createAppStore();
  const actions = createActions(app, { trainer, data, end: () => undefined } as unknown as Client);
  render(
    <AppContext value={{ app, actions }}>
      <App />
    </AppContext>,
  );
  const event: typeof app.dispatch = (e) => act(() => app.dispatch(e));
  const ready = () => {
    event({ type: 'model-ready', report: model, demo: false });
    event({ type: 'data-ready', report: dataset, demo: false });
  };
  return { trainer, data, app, actions, event, ready };
}
afterEach(cleanup);

const button = (name: string | RegExp) => screen.getByRole<HTMLButtonElement>('button', { name });
const press = (name: string | RegExp) => act(async () => fireEvent.click(button(name)));

describe('first visit', () => {
  test('nothing can be started before the device is known; a software adapter is called slow', async () => {
    const { actions } = open();
    expect(button('Try the demo').disabled).toBe(true);
    await act(() => actions.checkDevice());
    expect(button('Try the demo').disabled).toBe(false);
    expect(screen.getByTestId('device').textContent).toContain('Test GPU');
    expect(screen.getByText(/Software adapter: slow/)).toBeTruthy();
  });

  test('without WebGPU it says what to do and offers nothing that cannot work', async () => {
    const { actions, trainer } = open();
    trainer.openDevice.mockRejectedValueOnce(badInput('no-webgpu', 'This browser has no WebGPU.'));
    await act(() => actions.checkDevice());
    expect(screen.getByTestId('no-webgpu').textContent).toContain('enable-unsafe-webgpu');
    expect(screen.queryByRole('button', { name: 'Try the demo' })).toBeNull();
    expect(button('Choose folder').disabled).toBe(true);
  });

  test('the demo loads its model and data and starts with its own settings', async () => {
    const { actions, trainer, data } = open();
    await act(() => actions.checkDevice());
    await press('Try the demo');
    expect(trainer.loadModel).toHaveBeenCalledWith({ kind: 'demo' });
    expect(data.read).toHaveBeenCalledWith({ kind: 'demo' }, expect.objectContaining({ maxLength: 32 }));
    expect(trainer.start).toHaveBeenCalledWith(
      expect.objectContaining({ train: expect.objectContaining({ steps: 160, batch: 8, learningRate: 5e-3 }) }),
    );
  });
});

describe('model and data', () => {
  test('show what was found, and the mask in words as well', () => {
    const { ready } = open();
    ready();
    expect(screen.getByTestId('model-facts').textContent).toContain('1.2 M');
    expect(screen.getByTestId('data-facts').textContent).toContain('39 can be used');
    expect(screen.getByTestId('data-facts').textContent).toContain('25 %');
    expect(screen.getByText('Masked: Who. Trained: Ida')).toBeTruthy();
    const row = within(screen.getByTestId('bad-rows')).getAllByRole('row')[1];
    expect(row.textContent).toContain('not valid JSON');
  });

  test('a model that cannot be used becomes a notice that can be dismissed', async () => {
    const { actions, trainer } = open();
    trainer.loadModel.mockRejectedValueOnce(badInput('bad-model', 'x/config.json: rope_theta is missing.'));
    await act(() => actions.chooseModel('x', []));
    expect(screen.getByRole('alert').textContent).toContain('rope_theta is missing');
    await press('Dismiss: This model cannot be used');
    expect(screen.queryByTestId('notice')).toBeNull();
  });

  test('columns are chosen where headers say nothing', async () => {
    const { actions, data, event } = open();
    event({ type: 'model-ready', report: model, demo: false });
    data.read.mockResolvedValueOnce({ file: 't.csv', columns: ['q', 'a', 'id'] });
    await act(() => actions.chooseData([]));
    fireEvent.change(screen.getByLabelText('Completion'), { target: { value: 'id' } });
    await press('Read the data');
    expect(data.read).toHaveBeenLastCalledWith(expect.anything(), expect.objectContaining({ columns: { prompt: 'q', completion: 'id' } }));
    expect(screen.queryByTestId('columns')).toBeNull();
  });
});

describe('training', () => {
  test('a mistake stands at its field and blocks the start', async () => {
    const { ready } = open();
    ready();
    const field = screen.getByLabelText('Length', { selector: '#train input' });
    fireEvent.change(field, { target: { value: '0' } });
    expect(field.getAttribute('aria-invalid')).toBe('true');
    expect(button('Start training').disabled).toBe(true);
    expect(screen.getByTestId('ready').textContent).toBe('1 setting needs attention.');
    fireEvent.change(field, { target: { value: '12' } });
    expect(button('Start training').disabled).toBe(false);
  });

  test('fields of the mixture go with plain LoRA', async () => {
    const { ready } = open();
    ready();
    expect(screen.queryByLabelText('Experts')).toBeTruthy();
    fireEvent.click(screen.getByLabelText('Plain LoRA'));
    expect(screen.queryByLabelText('Experts')).toBeNull();
  });

  test('space pauses and resumes, but not from a text field', async () => {
    const { ready, event, trainer, actions } = open();
    ready();
    await act(() => actions.start());
    event({ type: 'training-began', report: training });
    event({ type: 'phase', phase: 'training' });
    fireEvent.keyDown(screen.getByLabelText('Prompt'), { key: ' ' });
    expect(trainer.pause).not.toHaveBeenCalled();
    await act(async () => fireEvent.keyDown(document.body, { key: ' ' }));
    expect(trainer.pause).toHaveBeenCalledTimes(1);
    event({ type: 'phase', phase: 'paused' });
    await act(async () => fireEvent.keyDown(document.body, { key: ' ' }));
    expect(trainer.resume).toHaveBeenCalledTimes(1);
    await press('Stop');
    expect(trainer.stop).toHaveBeenCalledTimes(1);
  });

  test('asking waits for a pause, then both models are asked in turn', async () => {
    const { ready, event, trainer, actions, app } = open();
    ready();
    await act(() => actions.start());
    event({ type: 'training-began', report: training });
    event({ type: 'phase', phase: 'training' });
    const prompt = screen.getByLabelText('Prompt');
    fireEvent.change(prompt, { target: { value: 'Who?' } });
    expect(button('Ask').disabled).toBe(true);
    const one = Float64Array.of(1);
    const series = { step: one, loss: one, ce: one, balance: one, lr: one, gradNorm: one, tokens: one, seconds: one };
    event({ type: 'steps', stage: 'train', series, total: 100 });
    event({ type: 'phase', phase: 'paused' });
    await press('Ask both');
    expect(trainer.answer.mock.calls.map(([q]: { which: string }[]) => q.which)).toEqual(['base', 'tuned']);
    const id = app.getState().chat.exchange!.id;
    event({ type: 'answer', id, which: 'tuned', text: 'Ida', tokens: 1, done: true });
    expect(screen.getByTestId('answer-tuned').textContent).toContain('Ida');
  });
});
