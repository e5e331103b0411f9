// Shows the recorded step of the search before the shown one.
import { stepped } from '../../state/playback.ts';
import type { Command } from '../shared/command.ts';

export const stepBack: Command = {
  id: 'step-back',
  group: 'Search',
  label: () => 'Step back',
  shortcut: '[',
  repeats: true,
  isVisible: ({ run }) => run.search !== null,
  why({ run, playback }) {
    if (run.searchStep < 1) return 'No other step is recorded yet.';
    return playback.at === 0 ? 'This is the first step.' : null;
  },
  run: ({ app }) =>
    app.dispatch({
      type: 'playback',
      playback: stepped(app.history!, app.getState().playback, -1),
    }),
};
