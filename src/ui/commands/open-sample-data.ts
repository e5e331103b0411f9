// Reads the data that comes with the project.
import { noNewData } from '../../state/obstacles.ts';
import type { Command } from '../shared/command.ts';

export const openSampleData: Command = {
  id: 'open-sample-data',
  group: 'Model and data',
  label: () => 'Use the sample data',
  shortcut: null,
  isVisible: ({ model, data }) => model.report?.hasTokenizer === true && !data.report,
  why: noNewData,
  run: ({ actions }) => actions.chooseDemoData(),
};
