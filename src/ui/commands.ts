// Every command of the page, in the order of a list of them. A new one is a file beside the others
// and a line here.
import { ask } from './commands/ask.ts';
import { cancelBenchmark } from './commands/cancel-benchmark.ts';
import { cancelLoading } from './commands/cancel-loading.ts';
import { cancelReading } from './commands/cancel-reading.ts';
import { checkHeldOut } from './commands/check-held-out.ts';
import { discard } from './commands/discard.ts';
import { followLive } from './commands/follow-live.ts';
import { openSampleData } from './commands/open-sample-data.ts';
import { pauseDownload } from './commands/pause-download.ts';
import { pauseRun } from './commands/pause-run.ts';
import { prepareExport } from './commands/prepare-export.ts';
import { proceed } from './commands/proceed.ts';
import { redo } from './commands/redo.ts';
import { replay } from './commands/replay.ts';
import { runBenchmark } from './commands/run-benchmark.ts';
import { saveExperts } from './commands/save-experts.ts';
import { saveRanks } from './commands/save-ranks.ts';
import { showShortcuts } from './commands/show-shortcuts.ts';
import { startNewRun } from './commands/start-new-run.ts';
import { startRun } from './commands/start-run.ts';
import { stepBack } from './commands/step-back.ts';
import { stepForward } from './commands/step-forward.ts';
import { stopAnswer } from './commands/stop-answer.ts';
import { stopRun } from './commands/stop-run.ts';
import { switchTheme } from './commands/switch-theme.ts';
import { tryDemo } from './commands/try-demo.ts';
import { undo } from './commands/undo.ts';
import { watchSearch } from './commands/watch-search.ts';
import type { Command } from './shared/command.ts';

export const commands: readonly Command[] = [
  tryDemo,
  watchSearch,
  cancelLoading,
  pauseDownload,
  openSampleData,
  cancelReading,
  startRun,
  startNewRun,
  pauseRun,
  stopRun,
  stepBack,
  stepForward,
  replay,
  followLive,
  proceed,
  discard,
  undo,
  redo,
  saveExperts,
  saveRanks,
  ask,
  stopAnswer,
  checkHeldOut,
  prepareExport,
  runBenchmark,
  cancelBenchmark,
  switchTheme,
  showShortcuts,
];
