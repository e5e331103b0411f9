// Gives up loading a model; the one before stays.
import { isDone } from '../model/loading.ts';
import type { Command } from '../shared/command.ts';

export const cancelLoading: Command = {
  id: 'cancel-loading',
  group: 'Model and data',
  label: ({ pending }) => (pending === 'cancel' ? 'Cancelling …' : 'Cancel loading'),
  shortcut: null,
  isVisible: ({ model }) => model.status === 'loading',
  why({ pending, loading }) {
    if (pending === 'cancel') return 'Cancelling: the current step has to finish first.';
    return isDone(loading) ? 'The model is loaded: there is nothing left to cancel.' : null;
  },
  run: ({ actions }) => actions.cancelLoading(),
};
