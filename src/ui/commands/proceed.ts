// Ends the review: trains with what stands there.
import type { Command } from '../shared/command.ts';

export const proceed: Command = {
  id: 'proceed',
  group: 'Review',
  label: () => 'Train with this allocation',
  shortcut: null,
  isVisible: ({ run }) => run.phase === 'review' && run.search?.config.train !== false,
  why({ review }) {
    const counts = Object.values(review?.draft.allocation.experts ?? {});
    return counts.every((count) => count === 0)
      ? 'Every linear is closed: there is nothing to train.'
      : null;
  },
  run: ({ actions }) => actions.proceed(),
};
