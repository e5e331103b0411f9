// Figures of a benchmark as people read them.
import { expect, test } from 'vitest';
import { figure, share, speed } from './figures.ts';

test('three digits that matter, and a unit that fits', () => {
  expect([0.0342, 2.314, 42.26, 1204.4].map(figure)).toEqual(['0.034', '2.31', '42.3', '1,204']);
  expect([0, 0.45, 830.2, 5432].map(speed)).toEqual([
    '',
    '0.450 GFLOP/s',
    '830 GFLOP/s',
    '5.43 TFLOP/s',
  ]);
  expect([figure(null), share(null), share(61.2)]).toEqual(['', '', '61 %']);
});
