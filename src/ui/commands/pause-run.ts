// Pauses the run after the step under way, and resumes it.
import { hasBegun, hasStages } from '../../state/run.ts';
import type { Command } from '../shared/command.ts';

export const pauseRun: Command = {
  id: 'pause-run',
  group: 'Run',
  label({ run, pending }) {
    if (run.phase === 'paused') return 'Resume';
    return pending === 'pause' ? 'Pausing …' : 'Pause';
  },
  shortcut: 'Space',
  isVisible: ({ run }) => hasStages(run.phase),
  why({ run, pending }) {
    if (!hasBegun(run)) return 'The run is being prepared: wait a moment.';
    if (run.phase === 'paused' || pending === null) return null;
    return 'The current step has to finish first.';
  },
  run({ app, actions }) {
    return app.getState().run.phase === 'paused' ? actions.resume() : actions.pause();
  },
};
