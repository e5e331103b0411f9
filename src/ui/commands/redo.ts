// Makes a change to the reviewed allocation again that was taken back.
import type { Command } from '../shared/command.ts';

export const redo: Command = {
  id: 'redo',
  group: 'Review',
  label: () => 'Redo',
  shortcut: 'Mod+Shift+Z',
  repeats: true,
  isVisible: ({ run }) => run.phase === 'review',
  why: ({ review }) => (review?.future.length ? null : 'There is nothing to redo.'),
  run: ({ actions }) => actions.redoReview(),
};
