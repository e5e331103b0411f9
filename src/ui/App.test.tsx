// @vitest-environment happy-dom
// The page's parts on a store without workers: what is shown in which state, and which calls the
// workers get.
import { act, cleanup, fireEvent, screen, within } from '@testing-library/react';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { uniformAllocation } from '../allocation/allocation.ts';
import { withCount } from '../allocation/review.ts';
import { type FieldName, fields, isUsed } from '../state/fields.ts';
import {
  badInput,
  dataset,
  isOff,
  model,
  openPage,
  parts,
  press,
  searchReport,
  settle,
  sitePath,
  training,
} from '../testing/page.tsx';

// both need a canvas; the end-to-end tests see them
vi.mock('./search/AllocationGrid.tsx', () => ({ AllocationGrid: () => <div>grid</div> }));
vi.mock('./train/LossChart.tsx', () => ({ default: () => <div>chart</div> }));

afterEach(cleanup);
beforeAll(parts, 120_000);

describe('first visit', () => {
  test('nothing can be started before the device is known; a software adapter is called slow', async () => {
    const { actions } = openPage();
    expect(isOff('Try the demo')).toBe(true);
    await act(() => actions.checkDevice());
    expect(isOff('Try the demo')).toBe(false);
    expect(screen.getByTestId('device').textContent).toContain('Test GPU');
    expect(screen.getByText(/Software renderer: slow/)).toBeTruthy();
  });

  test('without WebGPU it says what to do and offers nothing that cannot work', async () => {
    const { actions, trainer } = openPage();
    trainer.openDevice.mockRejectedValueOnce(badInput('no-webgpu', 'This browser has no WebGPU.'));
    await act(() => actions.checkDevice());
    expect(screen.getByTestId('no-webgpu').textContent).toContain('enable-unsafe-webgpu');
    expect(screen.queryByRole('button', { name: 'Try the demo' })).toBeNull();
    expect(isOff('Choose folder')).toBe(true);
  });

  test('a software device beside a GPU is a loud warning with what to do, alone it is a note', async () => {
    const { actions, trainer } = openPage();
    const device = (graphics: string | null) => ({
      name: 'Chip',
      software: true,
      maxBindingBytes: 2 ** 30,
      subgroups: null,
      timestamps: false,
      graphics,
    });
    trainer.openDevice.mockResolvedValueOnce(device(null));
    await act(() => actions.checkDevice());
    expect(screen.getByTestId('device').textContent).toContain('for the demo only');
    expect(screen.queryByTestId('software-device')).toBeNull();
    trainer.openDevice.mockResolvedValueOnce(device('Big Card'));
    await act(() => actions.checkDevice());
    const warning = screen.getByTestId('software-device').textContent;
    expect(warning).toContain('Big Card');
    expect(warning).toContain('--enable-unsafe-webgpu --enable-features=Vulkan');
  });

  test('the demo loads its model and data and starts with its own settings', async () => {
    const { actions, trainer, data } = openPage();
    await act(() => actions.checkDevice());
    await press('Try the demo');
    expect(trainer.loadModel).toHaveBeenCalledWith({ kind: 'demo' });
    expect(data.read).toHaveBeenCalledWith(
      { kind: 'demo' },
      expect.objectContaining({ maxLength: 32 }),
      expect.any(Function),
    );
    expect(trainer.start).toHaveBeenCalledWith(
      expect.objectContaining({
        train: expect.objectContaining({ steps: 160, batch: 8, learningRate: 5e-3 }),
      }),
    );
  });
});

describe('model and data', () => {
  test('show what was found, and the mask in words as well', async () => {
    const { ready } = openPage();
    await ready();
    expect(screen.getByTestId('model-facts').textContent).toContain('1.2 M');
    expect(screen.getByTestId('data-facts').textContent).toContain('39 can be used');
    expect(screen.getByTestId('data-facts').textContent).toContain('25 %');
    expect(screen.getByText('Masked: Who. Trained: Ida. Truncated: too')).toBeTruthy();
    const checks = screen.getByTestId('preflight').textContent;
    expect(checks).toContain('OverlapCheck this1 · of 2 validation rows');
    expect(checks).toContain('End tokenOK100 %');
    expect(checks).toContain('380 tokens per epoch');
    fireEvent.click(screen.getByRole('radio', { name: 'Row' }));
    expect(screen.getByTestId('preview-row').textContent).toBe(
      '{"prompt":"Who","completion":" Ida too"}',
    );
    const row = within(screen.getByTestId('bad-rows')).getAllByRole('row')[1];
    expect(row.textContent).toContain('not valid JSON');
  });

  test('a model that cannot be used becomes a notice that can be dismissed', async () => {
    const { actions, trainer } = openPage();
    trainer.loadModel.mockRejectedValueOnce(
      badInput('bad-model', 'x/config.json: rope_theta is missing.'),
    );
    await act(() => actions.chooseModel('x', []));
    expect(screen.getByRole('alert').textContent).toContain('rope_theta is missing');
    await press('Dismiss: This model cannot be used');
    expect(screen.queryByTestId('notice')).toBeNull();
  });

  test('reading says how far it is and can be cancelled, which leaves no data', async () => {
    const { actions, data, event } = openPage();
    event({ type: 'model-ready', report: model, demo: false });
    let end: (value: unknown) => void = () => {};
    data.read.mockReturnValueOnce(new Promise((resolve) => (end = resolve)));
    data.cancel.mockImplementationOnce(() => end(null));
    const read = actions.chooseData([]);
    event({
      type: 'data-progress',
      progress: { bytes: 2 ** 20, totalBytes: 2 ** 30, rows: 1234, secondsLeft: 70 },
    });
    expect(screen.getByTestId('reading').textContent).toContain(
      '1,234 rows · 1.0 MiB of 1.0 GiB · 1 min 10 s left',
    );
    await press('Cancel reading');
    await act(async () => read);
    expect(screen.queryByTestId('reading')).toBeNull();
    expect(screen.queryByTestId('data-facts')).toBeNull();
  });

  test('files are used as their names tell; with a limit those for validation are read whole; old data is never split by new names', async () => {
    const { app, actions, data, ready } = openPage();
    await ready();
    const part = dataset.parts[0];
    const parts = ['a.jsonl', 'a.valid.jsonl'].map((name) => ({ ...part, name }));
    const files = parts.map(({ name }) => new File([''], name));
    data.read.mockResolvedValue({ ...dataset, files: parts.map(({ name }) => name), parts });
    const splits = data.split.mock.calls as unknown as [{ validation: unknown }][];
    const before = splits.length;
    await act(() => actions.chooseData(files));
    await settle();
    expect(splits.slice(before).map(([{ validation }]) => validation)).toEqual([['a.valid.jsonl']]);
    expect(data.read).toHaveBeenCalledTimes(1);
    expect(data.read).toHaveBeenLastCalledWith(
      expect.anything(),
      expect.objectContaining({ whole: [] }),
      expect.anything(),
    );
    act(() => actions.setForm({ 'data.limit': '5' }));
    await act(() => actions.rereadData({}));
    expect(data.read).toHaveBeenLastCalledWith(
      expect.anything(),
      expect.objectContaining({ whole: ['a.valid.jsonl'] }),
      expect.anything(),
    );
    await settle();
    const [, held] = within(screen.getByTestId('files')).getAllByRole('listitem');
    fireEvent.click(within(held).getByRole('radio', { name: 'Training' }));
    await settle();
    expect(data.read).toHaveBeenLastCalledWith(
      expect.anything(),
      expect.objectContaining({ whole: [], limit: 5 }),
      expect.anything(),
    );
    expect(app.getState().form.files['a.valid.jsonl']).toEqual({ use: 'training', weight: '1' });
  });

  test('columns are chosen where headers say nothing', async () => {
    const { actions, data, event } = openPage();
    event({ type: 'model-ready', report: model, demo: false });
    data.read.mockResolvedValueOnce({ file: 't.csv', columns: ['q', 'a', 'id'] });
    await act(() => actions.chooseData([]));
    await settle();
    fireEvent.change(screen.getByLabelText('Completion'), { target: { value: 'id' } });
    await press('Read the data');
    expect(data.read).toHaveBeenLastCalledWith(
      expect.anything(),
      expect.objectContaining({ columns: { prompt: 'q', completion: 'id' } }),
      expect.any(Function),
    );
    expect(screen.queryByTestId('columns')).toBeNull();
  });

  test('columns are chosen anew where a format was found, also for questions with choices; a failed reading loses nothing', async () => {
    const { app, actions, data, event } = openPage();
    event({ type: 'model-ready', report: model, demo: false });
    await act(() => actions.chooseData([]));
    await settle();
    await press('Columns');
    fireEvent.change(screen.getByLabelText('Row format'), {
      target: { value: 'question–choices–answer' },
    });
    fireEvent.click(screen.getByRole('checkbox', { name: 'completion' })); // the first guess
    expect(screen.getByTestId('columns').textContent).toContain('Choices: choose a column.');
    expect(screen.getByRole('button', { name: 'Read the data' })).toHaveProperty('disabled', true);
    for (const name of ['A', 'B']) fireEvent.click(screen.getByRole('checkbox', { name }));
    fireEvent.change(screen.getByLabelText('Question'), { target: { value: 'prompt' } });
    fireEvent.change(screen.getByLabelText('Answer'), { target: { value: 'completion' } });
    fireEvent.change(screen.getByLabelText('System prompt', { selector: 'select' }), {
      target: { value: '' },
    });
    data.read.mockRejectedValueOnce(badInput('bad-data', 'none of 40 rows can be used'));
    await press('Read the data');
    const columns = { question: 'prompt', choices: ['A', 'B'], answer: 'completion', system: null };
    expect(data.read).toHaveBeenLastCalledWith(
      expect.anything(),
      expect.objectContaining({ columns }),
      expect.any(Function),
    );
    expect(app.getState().form['data.columns']).toBeNull(); // as the data that is there was read
    data.read.mockResolvedValueOnce({ ...dataset });
    await press('Read the data'); // what was chosen is still there
    expect(app.getState().form['data.columns']).toEqual(columns);
    expect(screen.queryByTestId('columns')).toBeNull();
  });

  test('pasted rows are a dataset', async () => {
    const { data, event } = openPage();
    event({ type: 'model-ready', report: model, demo: false });
    await settle();
    const kind = () => (screen.getByLabelText('Format') as HTMLSelectElement).value;
    const type = (value: string) =>
      fireEvent.change(screen.getByLabelText('Rows', { selector: 'textarea' }), {
        target: { value },
      });
    type('The cow sleeps. It snores, too.');
    expect(kind()).toBe('txt');
    type('{"text":"x"}');
    expect(kind()).toBe('jsonl');
    type('prompt,completion\na,b\n');
    expect(kind()).toBe('csv');
    await press('Read the rows');
    const [[source]] = data.read.mock.calls as unknown as [[{ files: File[] }]];
    expect([source.files[0].name, await source.files[0].text()]).toEqual([
      'pasted.csv',
      'prompt,completion\na,b\n',
    ]);
  });
});

describe('training', () => {
  test('a mistake stands at its field and blocks the start', async () => {
    const { ready } = openPage();
    await ready();
    const field = screen.getByLabelText('Length', { selector: '#train input' });
    fireEvent.change(field, { target: { value: '0' } });
    expect(field.getAttribute('aria-invalid')).toBe('true');
    expect(isOff('Start training')).toBe(true);
    expect(screen.getByTestId('ready').textContent).toBe('1 setting needs attention.');
    fireEvent.change(field, { target: { value: '12' } });
    expect(isOff('Start training')).toBe(false);
  });

  test('the memory is shown by category against a budget; what cannot fit blocks the start and says what would', async () => {
    vi.useFakeTimers();
    try {
      const { ready, trainer } = openPage();
      const mib = 2 ** 20;
      const needed = {
        weights: 5 * mib,
        adapter: mib,
        optimizer: 3 * mib,
        activations: 7 * mib,
        logits: 2 * mib,
        cache: 0,
        other: mib,
      };
      const stage = {
        stage: 'training',
        bytes: needed,
        total: 19 * mib,
        microBatch: 4,
        recompute: 'block',
        logitsChunkRows: 32,
      };
      trainer.estimateMemory.mockResolvedValueOnce({ stages: [stage], problem: null });
      await ready();
      fireEvent.change(screen.getByLabelText('Memory budget'), { target: { value: '20' } });
      await act(() => vi.advanceTimersByTimeAsync(500));
      expect(trainer.estimateMemory).toHaveBeenLastCalledWith(
        expect.objectContaining({ memory: 20 * mib }),
        expect.any(Number),
      );
      expect(screen.getByTestId('memory-estimate').textContent).toContain('Optimizer3.0 MiB');
      expect(screen.getByTestId('memory-estimate').textContent).toContain(
        'Total19.0 MiB of 20.0 MiB',
      );
      expect(screen.getByTestId('memory').textContent).toContain(
        'micro-batch of 4, every layer recomputed',
      );
      expect(isOff('Start training')).toBe(false);
      trainer.estimateMemory.mockResolvedValueOnce({
        stages: [],
        problem: { code: 'too-large', message: 'It fits with max length 64.' },
      });
      fireEvent.change(screen.getByLabelText('Memory budget'), { target: { value: '9' } });
      await act(() => vi.advanceTimersByTimeAsync(500));
      expect(screen.getByTestId('memory').textContent).toContain('It fits with max length 64.');
      expect(isOff('Start training')).toBe(true);
    } finally {
      vi.useRealTimers();
    }
  });

  test('fields of the mixture go with plain LoRA', async () => {
    const { ready } = openPage();
    await ready();
    expect(screen.queryByLabelText('Experts')).toBeTruthy();
    fireEvent.click(screen.getByLabelText('Plain LoRA'));
    expect(screen.queryByLabelText('Experts')).toBeNull();
  });

  test('every setting in use stands on the page, with the label and help of its schema', async () => {
    const { ready, app, actions } = openPage();
    await ready();
    await act(() => actions.setForm({ search: true }));
    const shown = (Object.keys(fields) as FieldName[]).filter(
      (name) => fields[name].label && isUsed(app.getState().form, name),
    );
    expect(shown.length).toBeGreaterThan(40);
    const text = ['data', 'train'].map((id) => document.getElementById(id)!.textContent).join();
    for (const name of shown) {
      const { label, help, kind, values, choices, on } = fields[name];
      const isChoice = kind === 'choice' && on === undefined;
      const words = isChoice ? values.map((v) => choices?.[v] ?? v).join('') : '';
      const own = name === 'adapter.method' || name === 'data.template' ? '' : help; // as they stand
      expect(text).toContain(`${label}${words}${own}`);
    }
  });

  test('space pauses and resumes, but not from a text field', async () => {
    const { ready, event, trainer, actions } = openPage();
    await ready();
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
    // The validation that follows has its own progress, and can be stopped too.
    event({ type: 'phase', phase: 'evaluating' });
    event({
      type: 'progress',
      task: 'validating',
      done: 1040,
      total: 2500,
      unit: 'rows',
      secondsLeft: 90,
    });
    expect(screen.getByTestId('run-bar').textContent).toMatch(
      /^Validating1,040 of 2,500 rows after step 0 · (1 min 30|90) s left/,
    );
    expect(screen.getByTestId('live').textContent).toMatch(
      /Measuring the validation loss after step 0 of \d+.*1,040 of 2,500 rows · /,
    );
    await press('Stop');
    expect(trainer.stop).toHaveBeenCalledTimes(2);
  });

  test('asking waits for a pause, then both models are asked in turn', async () => {
    const { ready, event, trainer, actions, app } = openPage();
    await ready();
    await act(() => actions.start());
    event({ type: 'training-began', report: training });
    event({ type: 'phase', phase: 'training' });
    const prompt = screen.getByLabelText('Prompt');
    fireEvent.change(prompt, { target: { value: 'Who?' } });
    expect(isOff('Ask')).toBe(true);
    const one = Float64Array.of(1);
    const series = {
      step: one,
      loss: one,
      ce: one,
      balance: one,
      lr: one,
      gradNorm: one,
      tokens: one,
      seconds: one,
    };
    event({ type: 'steps', stage: 'train', series, total: 100 });
    event({ type: 'phase', phase: 'paused' });
    await press('Ask both');
    expect(trainer.answer.mock.calls.map(([q]: { which: string }[]) => q.which)).toEqual([
      'base',
      'tuned',
    ]);
    const id = app.getState().chat.exchange!.id;
    event({ type: 'answer', id, which: 'tuned', text: 'Ida', tokens: 1, done: true });
    expect(screen.getByTestId('answer-tuned').textContent).toContain('Ida');
  });
});

describe('a run with a search', () => {
  const found = uniformAllocation(2, ['q_proj'], 2, 3);
  async function review({ train = true, complete = true } = {}) {
    const page = openPage();
    await page.ready();
    await act(() => page.actions.setForm({ search: true, train }));
    await act(() => page.actions.start());
    page.event({ type: 'search-began', report: searchReport(train) });
    page.event({
      type: 'review',
      report: { found, step: complete ? 20 : 7, complete, problem: null },
    });
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    page.event({ type: 'phase', phase: 'review' });
    await settle();
    screen.getByTestId('review');
    return page;
  }
  const tick = (ms: number) => act(async () => vi.advanceTimersByTime(ms));
  afterEach(() => vi.useRealTimers());

  test('an untouched review trains with what was found after 20 seconds', async () => {
    const { trainer } = await review();
    await tick(19_000);
    expect(screen.getByTestId('countdown').textContent).toBe(
      'Training follows in 1 s unless you change something here.',
    );
    expect(trainer.proceed).not.toHaveBeenCalled();
    await tick(1500);
    expect(trainer.proceed).toHaveBeenCalledExactlyOnceWith(found);
  });

  test('a touch ends the countdown, and what stands there is trained', async () => {
    const { trainer, actions } = await review();
    await tick(5000);
    await act(async () =>
      fireEvent.pointerDown(screen.getByRole('heading', { name: 'Review what the search found' })),
    );
    await tick(60_000);
    expect(trainer.proceed).not.toHaveBeenCalled();
    expect(screen.getByTestId('countdown').textContent).toBe('Waiting for you.');
    const changed = withCount(found, sitePath(1), 3, { maxExperts: 4, maxRank: 4 });
    await act(async () => actions.editAllocation(changed));
    await press('Train with this allocation');
    expect(trainer.proceed).toHaveBeenCalledExactlyOnceWith(changed);
  });

  test('a training that cannot begin leaves the review as it was', async () => {
    const { trainer, app } = await review();
    trainer.proceed.mockRejectedValueOnce(badInput('bad-config', 'nothing to train'));
    await press('Train with this allocation');
    expect(app.getState().run.phase).toBe('review');
    expect(screen.getByRole('alert').textContent).toContain('nothing to train');
  });

  test('a stopped search says so and waits', async () => {
    const { trainer } = await review({ complete: false });
    await tick(60_000);
    expect(trainer.proceed).not.toHaveBeenCalled();
    expect(screen.getByTestId('review').textContent).toContain('so far, at step 7 of 20');
    await press('Discard');
    expect(trainer.discard).toHaveBeenCalledTimes(1);
  });

  test('without training the review offers its allocation and an end', async () => {
    const { trainer } = await review({ train: false });
    expect(screen.queryByRole('button', { name: 'Train with this allocation' })).toBeNull();
    await press('End the run');
    expect(trainer.discard).toHaveBeenCalledTimes(1);
  });
});

test('a chosen adapter becomes the tuned model, and one that does not fit is a notice', async () => {
  const { ready, actions, trainer } = openPage();
  await ready();
  trainer.loadAdapter.mockRejectedValueOnce(
    badInput('bad-adapter', 'made for the base model “other”'),
  );
  await act(() => actions.openAdapter([]));
  expect(screen.getByRole('alert').textContent).toContain('made for the base model “other”');
  trainer.loadAdapter.mockResolvedValueOnce({
    name: 'mine.zip',
    method: 'lora-moe',
    parameters: 1200,
    base: 'tiny',
    validation: 0.1,
  });
  await act(() => actions.openAdapter([]));
  expect(screen.getByTestId('opened').textContent).toContain(
    'mine.zip is the tuned model: 1,200 parameters',
  );
  expect(screen.queryByTestId('notice')).toBeNull();
  expect(isOff('Check held-out rows')).toBe(false);
});
