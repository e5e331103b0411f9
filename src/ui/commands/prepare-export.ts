// Builds the zip of the adapter and compares it with what is on the device.
import { hasAdapter } from '../../state/run.ts';
import type { Command } from '../shared/command.ts';

export const prepareExport: Command = {
  id: 'prepare-export',
  group: 'Run',
  label: ({ exported, run }) =>
    exported.status === 'none' ? 'Prepare the download' : `Prepare again, at step ${run.step}`,
  shortcut: null,
  isVisible: ({ run, exported }) =>
    hasAdapter(run) && exported.status !== 'busy' && exported.report?.step !== run.step,
  why: () => null,
  run: ({ actions }) => actions.prepareExport(),
};
