// The stage strip: what each stage says at every point of a run.
import { expect, test } from 'vitest';
import { parseRunConfig, searches } from '../../settings/run-config.ts';
import { idleRun, type RunState } from '../../state/run.ts';
import type { SearchReport } from '../../worker/protocol/api.ts';
import { stagesOf } from './stages.ts';

const searchOf = (train: object | false): SearchReport => {
  const config = parseRunConfig({ search: { steps: 50 }, train }, 'test');
  if (!searches(config)) throw new Error('no search');
  return {
    config,
    sites: [],
    sizes: 'experts',
    experts: 8,
    rank: 8,
    topK: 2,
    closable: false,
    steps: 50,
    trainRows: 9,
    validationRows: 1,
    parameters: 1,
    microSteps: 2,
  };
};
const search = searchOf({ steps: 40 });
const at = (change: Partial<RunState>, checking: number | null = null) =>
  stagesOf({ ...idleRun, search, searchTotal: 50, ...change }, checking).map(({ state, note }) =>
    `${state} ${note}`.trim(),
  );
const searched: Partial<RunState> = { searchStep: 50, searchSeconds: 80 };
const report = { validationRows: 1 } as RunState['report'];

test.each<[string, Partial<RunState>, string[]]>([
  [
    'searching',
    { phase: 'searching', stage: 'search', searchStep: 31, secondsLeft: 19 },
    ['now 62 %, about 19 s left', 'before', 'before 40 steps', 'before'],
  ],
  [
    'paused',
    { phase: 'paused', stage: 'search', searchStep: 31, secondsLeft: 19 },
    ['now 62 %', 'before', 'before 40 steps', 'before'],
  ],
  [
    'in the review',
    { ...searched, phase: 'review', stage: 'review' },
    ['done 1 min 20 s', 'now your turn', 'before 40 steps', 'before'],
  ],
  [
    'in the review of a stopped search',
    { ...searched, searchStep: 25, phase: 'review', stage: 'review' },
    ['done stopped at 50 %', 'now your turn', 'before 40 steps', 'before'],
  ],
  [
    'training',
    { ...searched, phase: 'training', stage: 'train', report, step: 10, total: 40, secondsLeft: 5 },
    ['done 1 min 20 s', 'done', 'now 25 %, about 5 s left', 'before'],
  ],
  [
    'done',
    { ...searched, phase: 'finished', stage: 'train', report, step: 40, total: 40, seconds: 7 },
    ['done 1 min 20 s', 'done', 'done 7 s', 'done'],
  ],
  [
    'discarded',
    { ...searched, phase: 'stopped', stage: 'review' },
    ['done 1 min 20 s', 'out', 'out', 'out'],
  ],
  [
    'failed in the search',
    { phase: 'failed', stage: 'search', searchStep: 5 },
    ['out 10 %', 'out', 'out', 'out'],
  ],
])('%s', (_, run, wanted) => {
  expect(at(run)).toEqual(wanted);
});

test('the last validation is the fourth stage; one in between belongs to the training', () => {
  const run: Partial<RunState> = {
    ...searched,
    phase: 'evaluating',
    stage: 'train',
    report,
    total: 40,
    seconds: 7,
  };
  expect(at({ ...run, step: 40 }, 0.5)).toEqual([
    'done 1 min 20 s',
    'done',
    'done 7 s',
    'now 50 %',
  ]);
  expect(at({ ...run, step: 20 }, 0.5)[2]).toBe('now 50 %');
  expect(at({ ...run, step: 20 }, 0.5)[3]).toBe('before');
});

test('without training the last stages are left out', () => {
  const alone = stagesOf(
    {
      ...idleRun,
      ...searched,
      search: searchOf(false),
      searchTotal: 50,
      phase: 'review',
      stage: 'review',
    },
    null,
  );
  expect(alone.map((s) => s.state)).toEqual(['done', 'now', 'out', 'out']);
});
