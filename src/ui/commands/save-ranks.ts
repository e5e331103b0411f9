// Saves the ranks of the reviewed allocation as a file.
import type { Command } from '../shared/command.ts';
import { saveJson } from '../shared/files.ts';

export const saveRanks: Command = {
  id: 'save-ranks',
  group: 'Review',
  label: () => 'Save rank.json',
  shortcut: null,
  isVisible: ({ run }) => run.phase === 'review',
  why: () => null,
  run: ({ app }) => saveJson('rank.json', app.getState().review!.draft.allocation.ranks),
};
