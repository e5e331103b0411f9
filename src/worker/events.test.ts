// Events on their way to the page: order, batching, what replaces what.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { WorkerEvent } from './api.ts';
import { EventSender, type StepFigures } from './events.ts';

const figures = (step: number): StepFigures => ({ step, loss: step, ce: 0, balance: 0, lr: 0, gradNorm: 0, tokens: 0, seconds: 0 });
let sent: WorkerEvent[][] = [];
let sender: EventSender;
beforeEach(() => {
  vi.useFakeTimers();
  sent = [];
  sender = new EventSender((events) => sent.push(events));
});
afterEach(() => vi.useRealTimers());

test('at most ten batches a second, nothing lost, steps together', () => {
  for (let i = 1; i <= 100; i++) {
    sender.step(figures(i), 100);
    vi.advanceTimersByTime(10);
  }
  vi.advanceTimersByTime(200);
  expect(sent.length).toBeLessThanOrEqual(11);
  const steps = sent.flat().flatMap((e) => (e.type === 'steps' ? Array.from(e.series.step) : []));
  expect(steps).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
});

test('the order of steps and other events is kept; progress and answers are replaced by newer ones', () => {
  sender.step(figures(1), 9);
  sender.send({ type: 'validation', step: 1, loss: 3 });
  sender.step(figures(2), 9);
  sender.send({ type: 'progress', task: 'a', done: 1, total: 3, unit: '' });
  sender.send({ type: 'progress', task: 'a', done: 2, total: 3, unit: '' });
  sender.send({ type: 'answer', id: 1, which: 'base', text: 'x', tokens: 1, done: false });
  sender.send({ type: 'answer', id: 1, which: 'tuned', text: 'y', tokens: 1, done: false });
  sender.send({ type: 'answer', id: 1, which: 'base', text: 'x z', tokens: 2, done: true });
  sender.send({ type: 'phase', phase: 'paused' });
  sender.flush();
  expect(sent).toHaveLength(1);
  expect(sent[0].map((e) => (e.type === 'answer' ? e.text : e.type === 'progress' ? e.done : e.type))).toEqual([
    'steps',
    'validation',
    'steps',
    2,
    'y',
    'x z',
    'phase',
  ]);
  vi.advanceTimersByTime(1000);
  expect(sent).toHaveLength(1);
});
