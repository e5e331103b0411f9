// Starts the first run. A later one gives up an adapter, and has no key: start-new-run.
import { searching } from '../../state/fields.ts';
import { noStart } from '../../state/obstacles.ts';
import { isOpen } from '../../state/run.ts';
import { hasTuned } from '../../state/state.ts';
import type { Command } from '../shared/command.ts';

export const startRun: Command = {
  id: 'start-run',
  group: 'Run',
  label: ({ form }) => (searching(form) ? 'Start the search' : 'Start training'),
  shortcut: 'Mod+Enter',
  isVisible: (state) => !isOpen(state.run.phase) && !hasTuned(state),
  why: noStart,
  run: ({ actions }) => actions.start(),
};
