// Pauses the download of a model; the library goes on with it later.
import type { Command } from '../shared/command.ts';

export const pauseDownload: Command = {
  id: 'pause-download',
  group: 'Model and data',
  label: () => 'Pause download',
  shortcut: null,
  isVisible: ({ library }) => library.download !== null,
  why: () => null,
  run: ({ actions }) => actions.pauseDownload(),
};
