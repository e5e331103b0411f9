// The review between search and training: the allocation as a person changes it, with locks, undo
// and redo.
import { type Allocation, siteRanks } from '../allocation/allocation.ts';
import { type Locks, toggleLocks } from '../allocation/review.ts';
import type { ReviewReport } from '../worker/protocol/api.ts';

/** One state of the review that can be gone back to. */
export interface Draft {
  allocation: Allocation;
  locked: Locks;
}

export interface ReviewState {
  report: ReviewReport;
  draft: Draft;
  past: readonly Draft[];
  future: readonly Draft[];
  /** The training follows by itself after a while; false once anything was touched. */
  autoContinue: boolean;
}

export type ReviewEvent =
  | { type: 'review-edit'; allocation: Allocation }
  | { type: 'review-lock'; paths: readonly string[] }
  | { type: 'review-undo' }
  | { type: 'review-redo' }
  | { type: 'review-touched' };

/** The review at its beginning. */
export const reviewOf = (report: ReviewReport, autoContinue: boolean): ReviewState => ({
  report,
  draft: { allocation: report.found, locked: new Set() },
  past: [],
  future: [],
  autoContinue,
});

/** The review after what a person did. */
export function reduceReview(review: ReviewState, event: ReviewEvent): ReviewState {
  const { draft, past, future } = review;
  const to = (next: Draft): ReviewState => ({
    ...review,
    draft: next,
    past: [...past, draft],
    future: [],
    autoContinue: false,
  });
  switch (event.type) {
    case 'review-edit':
      return sameAllocation(event.allocation, draft.allocation)
        ? { ...review, autoContinue: false }
        : to({ ...draft, allocation: event.allocation });
    case 'review-lock':
      return to({ ...draft, locked: toggleLocks(draft.locked, event.paths) });
    case 'review-undo': {
      const before = past.at(-1);
      return before
        ? {
            ...review,
            draft: before,
            past: past.slice(0, -1),
            future: [draft, ...future],
            autoContinue: false,
          }
        : review;
    }
    case 'review-redo': {
      const [after, ...rest] = future;
      return after
        ? { ...review, draft: after, past: [...past, draft], future: rest, autoContinue: false }
        : review;
    }
    case 'review-touched':
      return review.autoContinue ? { ...review, autoContinue: false } : review;
  }
}

/** Linears whose experts or ranks are not those that the search found. */
export const changedSites = ({ report, draft }: ReviewState): string[] =>
  Object.keys(draft.allocation.experts).filter(
    (path) => siteText(draft.allocation, path) !== siteText(report.found, path),
  );

const siteText = (allocation: Allocation, path: string): string =>
  siteRanks(allocation, path).join();

const sameAllocation = (a: Allocation, b: Allocation): boolean =>
  a === b || Object.keys(a.experts).every((path) => siteText(a, path) === siteText(b, path));
