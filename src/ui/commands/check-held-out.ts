// Lets both models answer rows that training never saw.
import { noAnswers } from '../../state/obstacles.ts';
import { hasTuned } from '../../state/state.ts';
import type { Command } from '../shared/command.ts';

export const checkHeldOut: Command = {
  id: 'check-held-out',
  group: 'Answers',
  label: ({ heldOut }) => (heldOut.tuned ? 'Check again' : 'Check held-out rows'),
  shortcut: null,
  isVisible: (state) => hasTuned(state) && state.heldOut.busy === null,
  why(state) {
    const { heldOut, adapter, run } = state;
    const isFresh = heldOut.tuned?.step === (adapter ? null : run.step);
    return (
      noAnswers(state) ?? (isFresh ? 'The answers shown are from the adapter as it is now.' : null)
    );
  },
  run: ({ actions }) => actions.checkHeldOut(),
};
