// Figures of the stage that goes on.
import { type MethodName, methodOf } from '../../adapters/methods/methods.ts';
import type { RunState } from '../../state/run.ts';
import { useApp } from '../context.ts';
import { duration, loss, short, whole } from '../shared/format.ts';
import { Stat, Stats } from '../shared/Section.tsx';

const orNone = (v: number | null) => (v === null ? '–' : loss(v));
const leftOr = (run: RunState, seconds: number) =>
  run.secondsLeft !== null && (run.phase === 'training' || run.phase === 'searching')
    ? `about ${duration(run.secondsLeft)} left`
    : `${duration(seconds)} so far`;

export function LiveStats() {
  const run = useApp((s) => s.run);
  return (
    <Stats>{run.stage === 'search' ? <OfSearch run={run} /> : <OfTraining run={run} />}</Stats>
  );
}

function OfSearch({ run }: { run: RunState }) {
  const { search, secondsPerStep } = run;
  return (
    <>
      <Stat label="Lower loss" value={orNone(run.lowerLoss)} note="weights, latest update" />
      <Stat label="Upper loss" value={orNone(run.upperLoss)} note="sizes, on other rows" />
      <Stat
        label="Time per step"
        value={secondsPerStep === null ? '–' : `${secondsPerStep.toPrecision(2)} s`}
        note={leftOr(run, run.searchSeconds)}
      />
      <Stat
        label="Cost per step"
        value={search ? search.microSteps.toFixed(1) : '–'}
        note={search && `in micro-steps, by operation count (${search.config.search.order})`}
      />
    </>
  );
}

function OfTraining({ run }: { run: RunState }) {
  const { report, search } = run;
  return (
    <>
      <Stat label="Loss" value={orNone(run.loss)} note="of the latest batch" />
      <Stat
        label="Validation loss"
        value={orNone(run.validation)}
        note={
          report &&
          (report.validationRows === 0
            ? 'no rows held out'
            : `${whole(report.validationRows)} rows held out`)
        }
      />
      <Stat
        label="Speed"
        value={run.tokensPerSecond === null ? '–' : `${whole(run.tokensPerSecond)} tok/s`}
        note={leftOr(run, run.seconds)}
      />
      <Stat
        label="Trainable"
        value={report ? short(report.parameters) : '–'}
        note={report && sizes(report.config.adapter, search !== null)}
      />
    </>
  );
}

const sizes = (
  adapter: { method: MethodName; experts: number; rank: number },
  searched: boolean,
): string =>
  searched
    ? 'sizes as reviewed'
    : methodOf(adapter.method).sizes === 'rank'
      ? methodOf(adapter.method).about
      : `${adapter.experts} experts of rank ${adapter.rank}`;
