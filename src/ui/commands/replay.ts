// Replays the recorded steps of the search, and holds the replay.
import { replayed } from '../../state/playback.ts';
import type { Command } from '../shared/command.ts';

export const replay: Command = {
  id: 'replay',
  group: 'Search',
  label: ({ playback }) => (playback.playing ? 'Hold' : 'Replay'),
  shortcut: null,
  isVisible: ({ run }) => run.search !== null,
  why: ({ run }) => (run.searchStep < 1 ? 'No other step is recorded yet.' : null),
  run({ app }) {
    const { playback } = app.getState();
    app.dispatch({
      type: 'playback',
      playback: playback.playing
        ? { ...playback, playing: false }
        : replayed(app.history!, playback),
    });
  },
};
