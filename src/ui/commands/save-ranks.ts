// Saves the ranks of the reviewed allocation as a file.
import { allocationJson } from '../../allocation/files.ts';
import type { Command } from '../shared/command.ts';
import { saveJson } from '../shared/files.ts';

export const saveRanks: Command = {
  id: 'save-ranks',
  group: 'Review',
  label: () => 'Save rank.json',
  shortcut: null,
  isVisible: ({ run }) => run.phase === 'review',
  why: () => null,
  run({ app }) {
    const { review, run } = app.getState();
    saveJson('rank.json', allocationJson(run.search!.sizes, review!.draft.allocation).ranks);
  },
};
