// Gives up reading data, which leaves none.
import type { Command } from '../shared/command.ts';

export const cancelReading: Command = {
  id: 'cancel-reading',
  group: 'Model and data',
  label: () => 'Cancel reading',
  shortcut: null,
  isVisible: ({ data }) => data.status === 'reading',
  why: () => null,
  run: ({ actions }) => actions.cancelReading(),
};
