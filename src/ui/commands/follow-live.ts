// Shows the newest step of the search, whatever comes.
import { live } from '../../state/playback.ts';
import type { Command } from '../shared/command.ts';

export const followLive: Command = {
  id: 'follow-live',
  group: 'Search',
  label: () => 'Follow live',
  shortcut: null,
  isVisible: ({ run }) => run.search !== null,
  why: () => null,
  run: ({ app }) => app.dispatch({ type: 'playback', playback: live }),
};
