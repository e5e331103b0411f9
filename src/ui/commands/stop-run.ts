// Ends the stage under way: a search goes to its review, a training keeps its adapter.
import { hasBegun, hasStages } from '../../state/run.ts';
import type { Command } from '../shared/command.ts';

export const stopRun: Command = {
  id: 'stop-run',
  group: 'Run',
  label({ run, pending }) {
    if (pending === 'stop') return 'Stopping …';
    return run.stage === 'search' ? 'Stop the search' : 'Stop';
  },
  shortcut: 'Mod+.',
  isVisible: ({ run }) => hasStages(run.phase),
  why({ run, pending }) {
    if (!hasBegun(run)) return 'The run is being prepared: wait a moment.';
    return pending === 'stop' ? 'The current step has to finish first.' : null;
  },
  run: ({ actions }) => actions.stop(),
};
