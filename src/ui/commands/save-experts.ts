// Saves the number of experts of the reviewed allocation as a file.
import type { Command } from '../shared/command.ts';
import { saveJson } from '../shared/files.ts';

export const saveExperts: Command = {
  id: 'save-experts',
  group: 'Review',
  label: () => 'Save expert.json',
  shortcut: null,
  isVisible: ({ run }) => run.phase === 'review' && run.search?.sizes === 'experts',
  why: () => null,
  run: ({ app }) => saveJson('expert.json', app.getState().review!.draft.allocation.experts),
};
