// Where a run with a search is: ① Search → ② Review → ③ Train → ④ Evaluate, each with its progress
// and time.
import { useApp } from '../context.ts';
import { Stages } from '../shared/Stages.tsx';
import { stagesOf } from './stages.ts';

export function StageStrip() {
  const run = useApp((s) => s.run);
  const progress = useApp((s) => s.progress);
  if (!run.search) return null;
  const checking =
    progress && run.phase === 'evaluating' && progress.total > 0
      ? progress.done / progress.total
      : null;
  return <Stages label="Stages of the run" stages={stagesOf(run, checking)} testId="stages" />;
}
