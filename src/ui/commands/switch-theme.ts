// Switches between the light theme and the dark one.
import type { Command } from '../shared/command.ts';
import { shownTheme, theme } from '../shared/theme.ts';

export const switchTheme: Command = {
  id: 'switch-theme',
  group: 'Page',
  label: () => 'Switch between light and dark',
  shortcut: 'Alt+Shift+D',
  why: () => null,
  run: () => theme.set(shownTheme() === 'dark' ? 'light' : 'dark'),
};
