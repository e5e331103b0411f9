// Progress lines: one that updates on a terminal, few of them elsewhere.
import { expect, test } from 'vitest';
import { duration, Progress } from './progress.ts';

function recorder(terminal: boolean) {
  let time = 0;
  let text = '';
  const io = {
    terminal,
    err: (t: string) => {
      text += t;
    },
  };
  const at = (seconds: number) => {
    time = seconds * 1000;
  };
  return { progress: new Progress(io, () => time), at, written: () => text };
}

test('durations', () => {
  expect([0.4, 59.4, 60, 200, 7260].map(duration)).toEqual([
    '0 s',
    '59 s',
    '1 min 0 s',
    '3 min 20 s',
    '2 h 1 min',
  ]);
});

test('not on a terminal: the first, one every ten seconds, the last; with an estimate', () => {
  const { progress, at, written } = recorder(false);
  for (let step = 1; step <= 30; step++) {
    at(step);
    progress.update('Step', step, 30, `loss ${step}`);
  }
  expect(written().split('\n')).toEqual([
    'Step 1/30 · loss 1',
    'Step 11/30 · loss 11 · 19 s left',
    'Step 21/30 · loss 21 · 9 s left',
    'Step 30/30 · loss 30',
    '',
  ]);
});

test('the estimate starts afresh when a task comes back', () => {
  const { progress, at, written } = recorder(false);
  at(0);
  progress.update('Step', 1, 100);
  progress.update('Validating', 1, 1);
  at(100);
  progress.update('Step', 41, 100);
  at(110);
  progress.update('Step', 51, 100);
  expect(written()).toMatch(/Step 51\/100 · 49 s left/);
});

test('on a terminal: one line that is written over, taken away before a note', () => {
  const { progress, at, written } = recorder(true);
  progress.update('Step', 1, 3);
  at(0.05);
  progress.update('Step', 2, 3);
  at(1);
  progress.update('Step', 3, 3);
  progress.note('Done');
  expect(written()).toBe('\r\x1b[2KStep 1/3\r\x1b[2KStep 3/3\r\x1b[2KDone\n');
});
