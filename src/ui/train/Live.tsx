// The run as it goes: what it does now, its figures, the chart.
import { lazy, Suspense, useState } from 'react';
import type { RunState } from '../../state/state.ts';
import { useApp } from '../context.ts';
import { Choice, Progress } from '../shared/controls.tsx';
import { duration, loss, short, whole } from '../shared/format.ts';
import { Stat, Stats } from '../shared/Section.tsx';
import { SeriesTable } from './SeriesTable.tsx';

const LossChart = lazy(() => import('./LossChart.tsx'));

const scales = [
  { value: 'linear', label: 'Linear' },
  { value: 'log', label: 'Log' },
] as const;

function sentence(run: RunState): string {
  const at = `step ${run.step} of ${run.total}`;
  switch (run.phase) {
    case 'loading':
      return 'Preparing the run …';
    case 'compiling':
      return 'Compiling the GPU programs …';
    case 'training':
      return run.step === 0 ? 'The first step is under way …' : `Training: ${at}`;
    case 'evaluating':
      return `Measuring the validation loss after ${at}`;
    case 'paused':
      return `Paused at ${at}. The model can be asked as it is now.`;
    case 'finished':
      return `Finished: ${whole(run.total)} steps in ${duration(run.seconds)}`;
    case 'stopped':
      return `Stopped at ${at}. The adapter is kept as it is.`;
    case 'failed':
      return `The run ended with an error at ${at}.`;
    default:
      return '';
  }
}

export function Live() {
  const run = useApp((s) => s.run);
  const progress = useApp((s) => s.progress);
  const [scale, setScale] = useState<'linear' | 'log'>('linear');
  const { report } = run;
  const counting = progress !== null && (run.phase === 'compiling' || run.phase === 'evaluating');
  return (
    <div className="flex flex-col gap-5" data-testid="live" data-phase={run.phase} data-step={run.step}>
      {counting ? (
        <Progress label={progress.task} done={progress.done} total={progress.total} text={`${progress.done} of ${progress.total}`} />
      ) : (
        <Progress
          label={sentence(run)}
          done={run.total > 0 ? run.step : undefined}
          total={run.total}
          text={run.total > 0 ? `${Math.floor((100 * run.step) / run.total)} %` : ''}
        />
      )}
      <Stats>
        <Stat label="Loss" value={run.loss === null ? '–' : loss(run.loss)} note="of the latest batch" />
        <Stat
          label="Validation loss"
          value={run.validation === null ? '–' : loss(run.validation)}
          note={report && (report.validationRows === 0 ? 'no rows set aside' : `${whole(report.validationRows)} rows set aside`)}
        />
        <Stat
          label="Speed"
          value={run.tokensPerSecond === null ? '–' : `${whole(run.tokensPerSecond)} tok/s`}
          note={
            run.secondsLeft !== null && run.phase === 'training'
              ? `about ${duration(run.secondsLeft)} left`
              : `${duration(run.seconds)} so far`
          }
        />
        <Stat
          label="Trainable"
          value={report ? short(report.parameters) : '–'}
          note={
            report &&
            (report.config.adapter.method === 'lora'
              ? 'plain LoRA'
              : `${report.config.adapter.experts} experts of rank ${report.config.adapter.rank}`)
          }
        />
      </Stats>
      <figure>
        <figcaption className="mb-2 flex flex-wrap items-center justify-between gap-x-4 gap-y-1 text-sm">
          <span className="font-semibold">Loss by step</span>
          <span className="flex grow flex-wrap gap-4 text-muted">
            <Key label="training" line="solid" />
            <Key label="smoothed" line="thick" />
            <Key label="validation" line="dots" />
          </span>
          <Choice label="Axis of losses" hideLabel value={scale} options={scales} onChange={(value) => setScale(value)} />
        </figcaption>
        <Suspense fallback={<div className="h-62" />}>
          <LossChart log={scale === 'log'} />
        </Suspense>
        <SeriesTable />
      </figure>
    </div>
  );
}

function Key({ label, line }: { label: string; line: 'solid' | 'thick' | 'dots' }) {
  return (
    <span className="flex items-center gap-1.5">
      <svg width="22" height="10" aria-hidden="true">
        {line === 'dots' ? (
          <>
            <path d="M0 5h22" stroke="var(--second)" strokeWidth="1.5" strokeDasharray="3 3" />
            <circle cx="11" cy="5" r="3.5" fill="var(--second)" />
          </>
        ) : (
          <path d="M0 5h22" stroke="var(--accent)" strokeWidth={line === 'thick' ? 3 : 1.2} opacity={line === 'thick' ? 1 : 0.6} />
        )}
      </svg>
      {label}
    </span>
  );
}
