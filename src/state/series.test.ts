// Growing series, their listeners, and smoothing.
import { expect, test } from 'vitest';
import { Series, smooth } from './series.ts';

const one = (step: number) => {
  const value = Float64Array.of(step);
  return {
    step: value,
    loss: value,
    ce: value,
    balance: value,
    lr: value,
    gradNorm: value,
    tokens: value,
    seconds: value,
  };
};

test('columns grow beyond their first room and keep every value', () => {
  const series = new Series();
  for (let i = 1; i <= 1000; i++) series.append('train', one(i));
  expect(series.length('train')).toBe(1000);
  expect(Array.from(series.steps('train').gradNorm)).toEqual(
    Array.from({ length: 1000 }, (_, i) => i + 1),
  );
});

test('listeners hear of every change until they stop', () => {
  const series = new Series();
  let heard = 0;
  const stop = series.subscribe(() => heard++);
  series.append('train', one(1));
  series.addValidation({ step: 1, loss: 2 });
  series.clear();
  stop();
  series.append('train', one(1));
  expect(heard).toBe(3);
  expect(series.version).toBe(4);
});

test('smoothing keeps a constant and starts at the first value', () => {
  expect(Array.from(smooth([3, 3, 3], 0.9))).toEqual([
    expect.closeTo(3, 12),
    expect.closeTo(3, 12),
    expect.closeTo(3, 12),
  ]);
  const [first, second] = smooth([4, 0], 0.5);
  expect([first, second]).toEqual([4, expect.closeTo(4 / 3, 12)]);
  expect(Array.from(smooth([1, 5, 2], 0))).toEqual([1, 5, 2]);
});
