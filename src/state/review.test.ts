// The review's state: edits, locks, undo and redo, and when it goes on by itself.
import { expect, test } from 'vitest';
import { siteRanks, uniformAllocation } from '../allocation/allocation.ts';
import { withCount } from '../allocation/review.ts';
import {
  changedSites,
  type ReviewEvent,
  type ReviewState,
  reduceReview,
  reviewOf,
} from './review.ts';

const limits = { maxExperts: 4, maxRank: 4 };
const found = uniformAllocation(2, ['q_proj', 'k_proj'], 2, 3);
const [q0, k0] = Object.keys(found.experts);
const start = reviewOf({ found, step: 9, complete: true, problem: null }, true);
const edit = (path: string, count: number, from = found): ReviewEvent => ({
  type: 'review-edit',
  allocation: withCount(from, path, count, limits),
});
const after = (...events: ReviewEvent[]): ReviewState => events.reduce(reduceReview, start);

test('an edit counts as a change of its linear, until it is undone', () => {
  const state = after(edit(q0, 4));
  expect(changedSites(state)).toEqual([q0]);
  expect(siteRanks(state.draft.allocation, q0)).toEqual([3, 3, 3, 3]);
  const back = reduceReview(state, { type: 'review-undo' });
  expect(back.draft).toEqual(start.draft);
  expect(changedSites(back)).toEqual([]);
  expect(reduceReview(back, { type: 'review-redo' }).draft).toEqual(state.draft);
  // by hand to what was found
  expect(changedSites(after(edit(q0, 4), edit(q0, 2, found)))).toEqual([]);
});

test('locks are undone like edits; a new edit ends what could be redone', () => {
  const state = after(
    edit(q0, 1),
    { type: 'review-lock', paths: [q0, k0] },
    { type: 'review-undo' },
  );
  expect([...state.draft.locked]).toEqual([]);
  expect(state.future).toHaveLength(1);
  expect(reduceReview(state, edit(k0, 1)).future).toEqual([]);
  expect(reduceReview(start, { type: 'review-undo' })).toBe(start);
  expect(reduceReview(start, { type: 'review-redo' })).toBe(start);
});

test('an edit that changes nothing leaves nothing to undo', () => {
  expect(after(edit(q0, 2)).past).toEqual([]);
});

test.each<[string, ReviewEvent]>([
  ['an edit', edit(q0, 1)],
  ['a lock', { type: 'review-lock', paths: [q0] }],
  ['a touch', { type: 'review-touched' }],
])('%s ends the going on by itself', (_, event) => {
  expect(start.autoContinue).toBe(true);
  expect(reduceReview(start, event).autoContinue).toBe(false);
});
