// Starts a run where there is an adapter, which it gives up.
import { noStart } from '../../state/obstacles.ts';
import { isOpen } from '../../state/run.ts';
import { hasTuned } from '../../state/state.ts';
import type { Command } from '../shared/command.ts';

export const startNewRun: Command = {
  id: 'start-new-run',
  group: 'Run',
  label: () => 'Start a new run',
  shortcut: null,
  isVisible: (state) => !isOpen(state.run.phase) && hasTuned(state),
  why: noStart,
  run: ({ actions }) => actions.start(),
};
