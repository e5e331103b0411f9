// Opens the built-in model and data and trains.
import { noDemo } from '../../state/obstacles.ts';
import type { Command } from '../shared/command.ts';

export const tryDemo: Command = {
  id: 'try-demo',
  group: 'Model and data',
  label: () => 'Try the demo',
  shortcut: null,
  why: noDemo,
  run: ({ actions }) => actions.tryDemo(false),
};
