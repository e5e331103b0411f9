// Ends the review without training.
import type { Command } from '../shared/command.ts';

export const discard: Command = {
  id: 'discard',
  group: 'Review',
  label: ({ run }) => (run.search?.config.train === false ? 'End the run' : 'Discard'),
  shortcut: null,
  isVisible: ({ run }) => run.phase === 'review',
  why: () => null,
  run: ({ actions }) => actions.discard(),
};
