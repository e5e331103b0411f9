// Shows the recorded step of the search after the shown one.
import { stepped } from '../../state/playback.ts';
import type { Command } from '../shared/command.ts';

export const stepForward: Command = {
  id: 'step-forward',
  group: 'Search',
  label: () => 'Step forward',
  shortcut: ']',
  repeats: true,
  isVisible: ({ run }) => run.search !== null,
  why({ run, playback }) {
    if (run.searchStep < 1) return 'No other step is recorded yet.';
    return playback.at === null ? 'This is the newest step.' : null;
  },
  run: ({ app }) =>
    app.dispatch({
      type: 'playback',
      playback: stepped(app.history!, app.getState().playback, 1),
    }),
};
