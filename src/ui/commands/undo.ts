// Takes back the last change to the reviewed allocation.
import type { Command } from '../shared/command.ts';

export const undo: Command = {
  id: 'undo',
  group: 'Review',
  label: () => 'Undo',
  shortcut: 'Mod+Z',
  repeats: true,
  isVisible: ({ run }) => run.phase === 'review',
  why: ({ review }) => (review?.past.length ? null : 'There is nothing to undo.'),
  run: ({ actions }) => actions.undoReview(),
};
