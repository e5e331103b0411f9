// Figures of a benchmark as people read them; '' for what a case lacks.
import { whole } from '../shared/format.ts';

/** 0.034, 2.31, 1,204: three digits that matter. */
const number = (n: number): string =>
  n >= 100 ? whole(n) : n >= 10 ? n.toFixed(1) : n >= 1 ? n.toFixed(2) : n.toFixed(3);

/** A number that some cases lack. */
export const figure = (n: number | null): string => (n === null ? '' : number(n));

/** "830 GFLOP/s", "4.20 TFLOP/s". */
export const speed = (gflops: number): string => {
  if (gflops === 0) return '';
  return gflops >= 1000 ? `${number(gflops / 1000)} TFLOP/s` : `${number(gflops)} GFLOP/s`;
};

/** "42 %". */
export const share = (percentage: number | null): string =>
  percentage === null ? '' : `${percentage.toFixed(0)} %`;
