// @vitest-environment happy-dom
// The chosen model while it loads: the stages in words and figures, cancelling; on a store without
// workers.

import { act, cleanup, fireEvent, render, screen, within } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
import { createActions } from '../../state/actions.ts';
import type { Progress } from '../../state/state.ts';
import { createAppStore } from '../../state/store.ts';
import type { Task, TaskUnit } from '../../util/task.ts';
import type { ModelReport } from '../../worker/protocol/api.ts';
import type { Client } from '../../worker/protocol/client.ts';
import { AppContext } from '../context.ts';
import { loadingFigures, loadingStages } from './loading.ts';
import { ModelSummary } from './ModelSummary.tsx';

afterEach(cleanup);

const mib = 2 ** 20;
const at = (
  task: Task,
  done: number,
  total: number,
  unit: TaskUnit,
  secondsLeft: number | null = null,
): Progress => ({
  type: 'progress',
  task,
  done,
  total,
  unit,
  secondsLeft,
});
const read = at('reading', 2, 3, 'parts');
const uploaded = at('uploading', 300 * mib, 300 * mib, 'bytes', 0);
const compiled = at('compiling', 12, 12, 'kernels');

test.each<[string, Progress[], string[], string]>([
  ['at once', [], ['now 0 %', 'before', 'before', 'before'], 'Reading the model: '],
  [
    'reading',
    [read],
    ['now 66 %', 'before', 'before', 'before'],
    'Reading the model: 2 of 3 parts',
  ],
  [
    'uploading',
    [read, at('uploading', 75 * mib, 300 * mib, 'bytes', 63)],
    ['done', 'now 25 %', 'before', 'before'],
    'Uploading the weights: 75.0 MiB of 300 MiB · 1 min 3 s left',
  ],
  [
    'about to compile',
    [read, uploaded],
    ['done', 'now 100 %', 'before', 'before'],
    'Uploading the weights: 300 MiB of 300 MiB',
  ],
  [
    'compiling',
    [read, uploaded, at('compiling', 3, 12, 'kernels')],
    ['done', 'done 300 MiB', 'now 25 %', 'before'],
    'Compiling kernels: 3 of 12 kernels',
  ],
  [
    'the first pass',
    [read, uploaded, compiled, at('warm-up', 1, 2, 'passes')],
    ['done', 'done 300 MiB', 'done 12 kernels', 'now 50 %'],
    'Running a first pass: 1 of 2 passes',
  ],
  [
    'all done',
    [read, uploaded, compiled, at('warm-up', 2, 2, 'passes')],
    ['done', 'done 300 MiB', 'done 12 kernels', 'done'],
    'Running a first pass: 2 of 2 passes',
  ],
])('%s', (_, started, wanted, figures) => {
  expect(loadingStages(started).map(({ state, note }) => `${state} ${note}`.trim())).toEqual(
    wanted,
  );
  const { label, text } = loadingFigures(started);
  expect(`${label}: ${text}`).toBe(figures);
});

const model = {
  name: 'tiny',
  architecture: 'Qwen2',
  parameters: 1e6,
  maxPositions: 512,
  vocab: 97,
  kernels: { product: 'tile', rows: 'workgroup', attention: 'thread' },
} as Partial<ModelReport> as ModelReport;

function open() {
  let end: (report: ModelReport | null) => void = () => {};
  const trainer = {
    loadModel: vi.fn(() => new Promise<ModelReport | null>((resolve) => (end = resolve))),
    cancelLoading: vi.fn(),
  };
  const data = { openTokenizer: vi.fn() };
  const app = createAppStore();
  const actions = createActions(app, { trainer, data } as unknown as Client);
  render(
    <AppContext value={{ app, actions }}>
      <ModelSummary />
    </AppContext>,
  );
  const event: typeof app.dispatch = (e) => act(() => app.dispatch(e));
  return {
    app,
    actions,
    trainer,
    data,
    event,
    end: (report: ModelReport | null) => act(async () => end(report)),
  };
}

const isOff = (name: string) =>
  screen.getByRole('button', { name }).getAttribute('aria-disabled') === 'true';

test('the strip says each stage’s state in words, the bar names the one under way and its figures', async () => {
  const { actions, event } = open();
  await act(async () => void actions.chooseModel('x', []));
  for (const progress of [read, at('uploading', 75 * mib, 300 * mib, 'bytes', 63)]) event(progress);
  const items = within(screen.getByRole('list', { name: 'Loading stages' })).getAllByRole(
    'listitem',
  );
  expect(items.map((item) => item.textContent)).toEqual([
    'Reading(done)',
    '2Uploading(under way)25 %',
    '3Compiling(to come)',
    '4Warm-up(to come)',
  ]);
  expect(items.map((item) => item.getAttribute('aria-current'))).toEqual([
    null,
    'step',
    null,
    null,
  ]);
  const bar = screen.getByRole('progressbar', { name: 'Uploading the weights' });
  expect(bar.getAttribute('aria-valuenow')).toBe('25');
  expect(bar.getAttribute('aria-valuetext')).toBe('75.0 MiB of 300 MiB · 1 min 3 s left');
});

test('cancelling asks the trainer once; the model before stays, with its data, without a notice', async () => {
  const { app, actions, trainer, data, event, end } = open();
  event({ type: 'model-ready', report: model, demo: false });
  let opened: boolean | undefined;
  await act(async () => void actions.chooseModel('x', []).then((is) => (opened = is)));
  expect(screen.queryByTestId('model-facts')).toBeNull();
  await act(async () => fireEvent.click(screen.getByRole('button', { name: 'Cancel loading' })));
  expect(isOff('Cancelling …')).toBe(true);
  expect(trainer.cancelLoading).toHaveBeenCalledTimes(1);
  await end(null);
  expect(screen.getByTestId('model-facts').textContent).toContain('tiny');
  expect([opened, app.getState().notices, app.getState().announcement]).toEqual([
    false,
    [],
    'Loading was cancelled.',
  ]);
  expect(data.openTokenizer).not.toHaveBeenCalled();
});

test('once the first pass is done there is nothing left to cancel', async () => {
  const { actions, event, end } = open();
  await act(async () => void actions.chooseModel('x', []));
  event(at('warm-up', 1, 2, 'passes'));
  expect(isOff('Cancel loading')).toBe(false);
  event(at('warm-up', 2, 2, 'passes'));
  expect(isOff('Cancel loading')).toBe(true);
  await end(model);
  expect(screen.getByTestId('model-facts').textContent).toContain('tiny');
});
