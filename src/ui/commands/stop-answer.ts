// Stops the answer to a question, or the check of held-out rows.
import type { Command } from '../shared/command.ts';

export const stopAnswer: Command = {
  id: 'stop-answer',
  group: 'Answers',
  label: ({ heldOut }) => (heldOut.busy ? 'Stop the check' : 'Stop the answer'),
  shortcut: null,
  isVisible: ({ chat, heldOut }) => chat.busy || heldOut.busy !== null,
  why: () => null,
  run: ({ actions }) => actions.stopAnswer(),
};
