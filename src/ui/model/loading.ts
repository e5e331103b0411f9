// The four stages of loading a model, as the strip shows them, and the figures of the one that goes
// on.
import type { Progress } from '../../state/state.ts';
import { LOADING, type LoadingStage, taskInWords } from '../../util/task.ts';
import { bytes, left, whole } from '../shared/format.ts';
import type { StageView } from '../shared/Stages.tsx';

const names: Readonly<Record<LoadingStage, string>> = {
  reading: 'Reading',
  uploading: 'Uploading',
  compiling: 'Compiling',
  'warm-up': 'Warm-up',
};
/** Those whose amount says something once they are done. */
const reported: readonly LoadingStage[] = ['uploading', 'compiling'];

const share = ({ done, total }: Progress) => (total > 0 ? done / total : 0);
const amount = ({ total, unit }: Progress) =>
  unit === 'bytes' ? bytes(total) : `${whole(total)} ${unit}`;

/**
 * @param started progress of the stages that have begun, in order: the last is under way, unless it
 *   is the warm-up and done
 */
export function loadingStages(started: readonly Progress[]): StageView[] {
  const last = Math.max(0, started.length - 1);
  return LOADING.map((stage, i) => {
    const name = names[stage];
    const progress = started[i];
    if (i < last || (progress && isDone(started)))
      return {
        name,
        state: 'done',
        share: 1,
        note: reported.includes(stage) ? amount(started[i]) : '',
      };
    if (i > last) return { name, state: 'before', share: 0, note: '' };
    const done = progress ? share(progress) : 0;
    return { name, state: 'now', share: done, note: `${Math.floor(100 * done)} %` };
  });
}

/** Whether all stages are done: nothing is left to cancel. */
export function isDone(started: readonly Progress[]): boolean {
  const last = started.at(-1);
  return last?.task === 'warm-up' && last.done === last.total;
}

/**
 * The stage under way in words and figures: "12.0 MiB of 1.2 GiB · 40 s left", "3 of 17 kernels".
 */
export function loadingFigures(started: readonly Progress[]): { label: string; text: string } {
  const now = started.at(-1);
  if (!now) return { label: taskInWords.reading, text: '' };
  const { done, unit, secondsLeft } = now;
  return {
    label: taskInWords[now.task],
    text: `${unit === 'bytes' ? bytes(done) : whole(done)} of ${amount(now)}${left(secondsLeft)}`,
  };
}
