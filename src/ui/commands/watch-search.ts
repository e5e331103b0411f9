// Opens the built-in model and data and runs a search before the training.
import { noDemo } from '../../state/obstacles.ts';
import type { Command } from '../shared/command.ts';

export const watchSearch: Command = {
  id: 'watch-search',
  group: 'Model and data',
  label: () => 'Watch a search',
  shortcut: null,
  why: noDemo,
  run: ({ actions }) => actions.tryDemo(true),
};
