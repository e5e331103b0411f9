// Asks the base model, and the tuned one where there is one.
import { noAnswers } from '../../state/obstacles.ts';
import { questionProblems } from '../../state/question.ts';
import { hasTuned } from '../../state/state.ts';
import type { Command } from '../shared/command.ts';

export const ask: Command = {
  id: 'ask',
  group: 'Answers',
  label: (state) => (hasTuned(state) ? 'Ask both' : 'Ask'),
  shortcut: 'Enter',
  within: { selector: '#chat textarea', words: 'in the prompt' },
  isVisible: ({ model }) => model.report?.hasTokenizer === true,
  why(state) {
    const { question } = state;
    const problem =
      question.prompt.trim() === ''
        ? 'The prompt is empty: type one.'
        : Object.keys(questionProblems(question)).length > 0
          ? 'An answer setting needs attention.'
          : null;
    return noAnswers(state) ?? problem;
  },
  run: ({ actions }) => actions.ask(),
};
