// @vitest-environment happy-dom
// The benchmark on the page: rejected, at first, under way, cancelled, done, failed, copied.
import { act, cleanup, fireEvent, screen } from '@testing-library/react';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import {
  badInput,
  benchmark,
  button,
  isOff,
  openPage,
  parts,
  press,
  settle,
} from '../../testing/page.tsx';
import type { BenchmarkReport } from '../../worker/protocol/benchmark.ts';

beforeAll(parts, 120_000);
afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
});

async function open() {
  const page = openPage();
  await act(() => page.actions.checkDevice());
  let end: (report: BenchmarkReport) => void = () => {};
  page.trainer.benchmark.mockImplementationOnce(
    () => new Promise<BenchmarkReport>((resolve) => (end = resolve)),
  );
  return { ...page, end: (report: BenchmarkReport) => act(async () => end(report)) };
}
const panel = () => screen.getByTestId('benchmark');
const begin = async () => {
  await press('Benchmark');
  await settle();
};

test('it waits for the device, and is rejected by name while a run, an answer or a check is under way', async () => {
  const { actions, event, ready } = openPage();
  expect(screen.queryByRole('button', { name: 'Benchmark' })).toBeNull();
  await act(() => actions.checkDevice());
  await ready();
  const why = () => button('Benchmark').title;
  expect([isOff('Benchmark'), why()]).toEqual([false, '']);
  event({ type: 'asked', id: 1, prompt: 'Who?' });
  expect([isOff('Benchmark'), why()]).toEqual([
    true,
    'The models are answering: wait, or stop the answer.',
  ]);
  event({ type: 'chat-idle' });
  event({ type: 'held-out-busy', which: 'base' });
  expect(why()).toBe('Held-out rows are being checked: wait, or stop the check.');
  event({ type: 'held-out-busy', which: null });
  event({ type: 'model-loading' });
  expect(why()).toBe('A model is being loaded: wait for it, or cancel.');
  event({ type: 'model-failed' });
  for (const phase of ['searching', 'review', 'training', 'paused'] as const) {
    event({ type: 'phase', phase });
    expect(why(), phase).toBe('A run is under way: wait for it to end, or stop it.');
  }
});

test('under way it has the case, n of m and the time left; nothing else may use the device; it can be cancelled', async () => {
  const { event, trainer, end, ready } = await open();
  await ready();
  await begin();
  expect(trainer.benchmark).toHaveBeenCalledExactlyOnceWith('');
  expect(panel().textContent).toContain('Choosing the kernels for this device');
  event({ type: 'measuring', name: 'device/copy', done: 1, total: 5, secondsLeft: 70 });
  expect(panel().textContent).toMatch(/^device\/copy2 of 5 · 1 min 10 s left/);
  expect(button('Start training').title).toBe(
    'The device is being measured: wait, or cancel the benchmark.',
  );
  await press('Cancel the benchmark');
  expect(trainer.cancelBenchmark).toHaveBeenCalledTimes(1);
  expect(isOff('Cancelling …')).toBe(true);
  await end({ ...benchmark, rows: benchmark.rows.slice(0, 1), measured: 1, cases: 5 });
  expect(panel().textContent).toContain('The benchmark was cancelled: 1 of 5 cases measured.');
  event({ type: 'measuring', name: 'late', done: 2, total: 5, secondsLeft: null });
  expect(panel().textContent).not.toContain('late');
  expect(isOff('Start training')).toBe(false);
});

test('done it has the device, the browser, the clock and a row per figure, which can be copied', async () => {
  const writeText = vi.spyOn(navigator.clipboard, 'writeText').mockResolvedValue();
  const { end, trainer } = await open();
  await begin();
  await end(benchmark);
  expect(panel().textContent).toContain('The benchmark is done: 2 cases measured.');
  expect(screen.getByTestId('benchmark-device').textContent).toBe(
    'Test GPU · Test browser · timed by timestamp queries, steps by the wall clock',
  );
  const cells = [...screen.getByTestId('benchmark-table').querySelectorAll('tr')].map((row) =>
    [...row.children].map((child) => child.textContent),
  );
  expect(cells).toEqual([
    [
      ...['Case', 'Variant', 'ms', 'Speed', 'Of the best product', 'Of multiply-adds'],
      ...['GB/s', 'Launches', 'Tokens/s'],
    ],
    ['device/copy', '', '4.50', '', '', '', '29.8', '', ''],
    ['step/tiny/lora/1x128', '', '1,235', '5.43 TFLOP/s', '61 %', '40 %', '', '1,539', '104'],
  ]);
  await press('Copy');
  await press('Copy as JSON');
  expect(writeText.mock.calls).toEqual([['the table'], ['{}']]);
  expect(panel().textContent).toContain('Copied the JSON.');
  writeText.mockRejectedValueOnce(new Error('no'));
  await press('Copy');
  expect(panel().textContent).toContain('The browser does not allow copying here');

  fireEvent.change(screen.getByLabelText('Only cases with this in their name'), {
    target: { value: ' step/ ' },
  });
  await press('Benchmark');
  expect(trainer.benchmark).toHaveBeenLastCalledWith('step/');
  await press('Close the benchmark');
  expect(screen.queryByTestId('benchmark')).toBeNull();
  expect(isOff('Benchmark')).toBe(false);
});

test('a case that fails is named beside what was measured; where nothing was, it says why', async () => {
  const { end, trainer } = await open();
  await begin();
  await end({ ...benchmark, cases: 9, problem: 'step/tiny: out of memory' });
  expect(panel().textContent).toContain(
    'The benchmark was ended by an error: 2 of 9 cases measured.step/tiny: out of memory',
  );
  trainer.benchmark.mockRejectedValueOnce(badInput('bad-option', 'The device is busy.'));
  await press('Benchmark');
  expect([panel().dataset.status, panel().textContent]).toEqual([
    'failed',
    expect.stringMatching(/^The device is busy\./),
  ]);
  expect(screen.queryByTestId('benchmark-table')).toBeNull();
  expect(isOff('Benchmark')).toBe(false);
});
