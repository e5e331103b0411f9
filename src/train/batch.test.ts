// Micro-batches on the host: padding, and which position predicts which trained token.
import { expect, test } from 'vitest';
import { NO_ROW } from '../ops/embed.ts';
import { NO_TARGET } from '../ops/loss.ts';
import { joinedBatch, microBatch } from './batch.ts';
import { shapeOf } from './run-rows.ts';

const shape = { rows: 3, seqLen: 4, targets: 6 };

test('logits at t predict labels[t + 1]; labels[0] never counts; missing rows are empty', () => {
  const batch = microBatch(
    [
      { ids: [5, 6], labels: [5, 6] },
      { ids: [7, 8, 9], labels: [-100, -100, 9] },
    ],
    shape,
  );
  expect([...batch.ids]).toEqual([5, 6, 0, 0, 7, 8, 9, 0, 0, 0, 0, 0]);
  expect([...batch.lengths]).toEqual([2, 3, 0]);
  expect([...batch.index]).toEqual([0, 5, NO_ROW, NO_ROW, NO_ROW, NO_ROW]);
  expect([...batch.targets]).toEqual([6, 9, NO_TARGET, NO_TARGET, NO_TARGET, NO_TARGET]);
  expect([batch.lossTokens, batch.tokens]).toEqual([2, 5]);
});

test('packed rows: positions start again with each document, and nothing is predicted across documents', () => {
  const row = { ids: [5, 6, 7, 8], labels: [5, 6, 7, 8], positions: [0, 1, 0, 1] };
  const batch = microBatch([{ ids: [9], labels: [9] }, row], shape);
  expect([...batch.positions]).toEqual([0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0]);
  expect([...batch.index].slice(0, batch.lossTokens)).toEqual([4, 6]);
  expect([...batch.targets].slice(0, batch.lossTokens)).toEqual([6, 8]);
  expect(shapeOf([row], 1)).toEqual({ rows: 1, seqLen: 8, targets: 2 });
});

test('rows end to end in the smallest shape that holds them: their places stay what they are', () => {
  const rows = [
    { ids: [5, 6], labels: [5, 6] },
    { ids: [7, 8, 9], labels: [-100, -100, 9] },
  ];
  const large = { rows: 1, seqLen: 16, targets: 4 };
  const small = { rows: 1, seqLen: 8, targets: 2 };
  const batch = joinedBatch(rows, [small, large]);
  expect(batch.shape).toBe(small);
  expect([...batch.ids]).toEqual([5, 6, 7, 8, 9, 0, 0, 0]);
  expect([...batch.lengths]).toEqual([5]);
  expect([...batch.positions]).toEqual([0, 1, 0, 1, 2, 0, 0, 0]);
  expect([...batch.places].slice(0, 10)).toEqual([0, 0, 0, 1, 1, 0, 1, 1, 1, 2]);
  expect([...batch.index]).toEqual([0, 3]);
  expect([...batch.targets]).toEqual([6, 9]);
  const apart = microBatch(rows, { rows: 2, seqLen: 4, targets: 2 });
  expect([...apart.places].slice(0, 4)).toEqual([0, 0, 0, 1]);
  expect([...apart.places].slice(8, 14)).toEqual([1, 0, 1, 1, 1, 2]);
  expect(joinedBatch([...rows, ...rows], [small, large]).shape).toBe(large);
  const many = [...rows, ...rows, ...rows, ...rows];
  expect(() => joinedBatch(many, [small, large])).toThrow('no program holds these rows');
});

test('what does not fit the program is a defect, not a truncation', () => {
  const row = { ids: [1, 2, 3], labels: [1, 2, 3] };
  expect(() => microBatch([row], { ...shape, seqLen: 2 })).toThrow('longer');
  expect(() => microBatch([row, row, row, row], shape)).toThrow('more rows');
  expect(() => microBatch([row], { ...shape, targets: 1 })).toThrow('loss-carrying');
});

test('a shape holds any micro-batch of its rows', () => {
  const rows = [
    { ids: [1, 2, 3], labels: [1, 2, 3] },
    { ids: new Array(20).fill(1), labels: new Array(20).fill(1) },
    { ids: [1, 2], labels: [-100, 2] },
  ];
  expect(shapeOf(rows, 2)).toEqual({ rows: 2, seqLen: 24, targets: 19 + 2 });
});
