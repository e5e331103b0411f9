// Opens the list of keyboard shortcuts.
import type { Command } from '../shared/command.ts';

export const showShortcuts: Command = {
  id: 'show-shortcuts',
  group: 'Page',
  label: () => 'Keyboard shortcuts',
  shortcut: '?',
  why: () => null,
  run: ({ app }) => app.dispatch({ type: 'shortcuts-shown', shown: true }),
};
