// Events on their way to the page: order, batching, what replaces what.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { WorkerEvent } from './api.ts';
import { EventSender, type StepFigures } from './events.ts';

const figures = (step: number): StepFigures => ({
  step,
  loss: step,
  ce: 0,
  balance: 0,
  lr: 0,
  gradNorm: 0,
  tokens: 0,
  seconds: 0,
});
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
    sender.step('train', figures(i), 100);
    vi.advanceTimersByTime(10);
  }
  vi.advanceTimersByTime(200);
  expect(sent.length).toBeLessThanOrEqual(11);
  const steps = sent.flat().flatMap((e) => (e.type === 'steps' ? Array.from(e.series.step) : []));
  expect(steps).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
});

test('the order of steps and other events is kept; progress and answers are replaced by newer ones', () => {
  sender.step('train', figures(1), 9);
  sender.send({ type: 'validation', step: 1, loss: 3 });
  sender.step('train', figures(2), 9);
  sender.send({ type: 'progress', task: 'answering', done: 1, total: 3, unit: 'rows' });
  sender.send({ type: 'progress', task: 'answering', done: 2, total: 3, unit: 'rows' });
  sender.send({ type: 'answer', id: 1, which: 'base', text: 'x', tokens: 1, done: false });
  sender.send({ type: 'answer', id: 1, which: 'tuned', text: 'y', tokens: 1, done: false });
  sender.send({ type: 'answer', id: 1, which: 'base', text: 'x z', tokens: 2, done: true });
  sender.send({ type: 'phase', phase: 'paused' });
  sender.flush();
  expect(sent).toHaveLength(1);
  expect(
    sent[0].map((e) => (e.type === 'answer' ? e.text : e.type === 'progress' ? e.done : e.type)),
  ).toEqual(['steps', 'validation', 'steps', 2, 'y', 'x z', 'phase']);
  vi.advanceTimersByTime(1000);
  expect(sent).toHaveLength(1);
});

test('progress of one task does not replace that of another, so that no stage is lost', () => {
  for (const [task, done] of [
    ['reading', 0],
    ['reading', 2],
    ['uploading', 0],
    ['uploading', 9],
  ] as const)
    sender.send({ type: 'progress', task, done, total: 9, unit: 'parts' });
  sender.flush();
  expect(sent.flat().map((e) => e.type === 'progress' && `${e.task} ${e.done}`)).toEqual([
    'reading 2',
    'uploading 9',
  ]);
});

test('upper steps go together, their GSVs end to end; lower updates and training steps stay apart', () => {
  const upper = (step: number) => ({
    step,
    loss: step === 0 ? Number.NaN : 4,
    lambda: 0.1,
    share: 0.5,
    values: Float32Array.of(step, -step),
  });
  sender.step('search', figures(1), 5);
  for (const step of [0, 1, 2]) {
    sender.upper(upper(step), 9);
    sender.send({ type: 'speed', tokensPerSecond: null, secondsPerStep: 1, secondsLeft: 9 - step });
  }
  sender.step('train', figures(1), 7);
  sender.send({ type: 'routing', shares: Float32Array.of(1) });
  sender.send({ type: 'routing', shares: Float32Array.of(0.5, 0.5) });
  sender.upper(upper(3), 9);
  sender.flush();
  const [events] = sent;
  expect(
    events.map((e) => (e.type === 'steps' ? `${e.type} ${e.stage} ${e.total}` : e.type)),
  ).toEqual(['speed', 'steps search 5', 'upper', 'routing', 'steps train 7', 'upper']);
  const [first, last] = events.flatMap((e) => (e.type === 'upper' ? [e] : []));
  expect([...first.series.step]).toEqual([0, 1, 2]);
  expect(first.series.loss[0]).toBeNaN();
  expect([...first.series.values]).toEqual([0, -0, 1, -1, 2, -2]);
  expect(first.total).toBe(9);
  expect([...last.series.values]).toEqual([3, -3]);
  expect(events.flatMap((e) => (e.type === 'routing' ? [...e.shares] : []))).toEqual([0.5, 0.5]);
});
