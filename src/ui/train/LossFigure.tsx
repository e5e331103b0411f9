// The losses of a stage: the chart with its key and axis, and the same as a table.
import { lazy, Suspense, useState } from 'react';
import { useApp } from '../context.ts';
import { Choice } from '../shared/controls.tsx';
import { SeriesTable } from './SeriesTable.tsx';

const LossChart = lazy(() => import('./LossChart.tsx'));

const scales = [
  { value: 'linear', label: 'Linear' },
  { value: 'log', label: 'Log' },
] as const;
const stages = [
  { value: 'search', label: 'Search' },
  { value: 'train', label: 'Training' },
] as const;

export function LossFigure() {
  const searched = useApp((s) => s.run.search !== null);
  const latest = useApp((s) => (s.run.report || !s.run.search ? 'train' : 'search'));
  const [chosen, setChosen] = useState<'search' | 'train' | null>(null);
  const [scale, setScale] = useState<'linear' | 'log'>('linear');
  const stage = searched ? (chosen ?? latest) : 'train';
  return (
    <figure className="min-w-0">
      <figcaption className="mb-2 flex flex-wrap items-center justify-between gap-x-4 gap-y-1 text-sm">
        <span className="font-semibold">
          {stage === 'search' ? 'Losses by search step' : 'Loss by step'}
        </span>
        <span className="flex grow flex-wrap gap-x-4 text-muted">
          <Key label={stage === 'search' ? 'lower level' : 'training'} line="solid" />
          <Key label="smoothed" line="thick" />
          <Key
            label={stage === 'search' ? 'upper level' : 'validation'}
            line={stage === 'search' ? 'second' : 'dots'}
          />
        </span>
        {searched && latest === 'train' && (
          <Choice
            label="Loss stage"
            hideLabel
            value={stage}
            options={stages}
            onChange={(value) => setChosen(value)}
          />
        )}
        <Choice
          label="Loss axis"
          hideLabel
          value={scale}
          options={scales}
          onChange={(value) => setScale(value)}
        />
      </figcaption>
      <Suspense fallback={<div className="h-62" />}>
        <LossChart log={scale === 'log'} stage={stage} />
      </Suspense>
      <SeriesTable key={stage} stage={stage} />
    </figure>
  );
}

function Key({ label, line }: { label: string; line: 'solid' | 'thick' | 'dots' | 'second' }) {
  return (
    <span className="flex items-center gap-1.5">
      <svg width="22" height="10" aria-hidden="true">
        {line === 'dots' || line === 'second' ? (
          <>
            <path
              d="M0 5h22"
              stroke="var(--second)"
              strokeWidth="1.5"
              strokeDasharray={line === 'dots' ? '3 3' : undefined}
            />
            {line === 'dots' && <circle cx="11" cy="5" r="3.5" fill="var(--second)" />}
          </>
        ) : (
          <path
            d="M0 5h22"
            stroke="var(--accent)"
            strokeWidth={line === 'thick' ? 3 : 1.2}
            opacity={line === 'thick' ? 1 : 0.6}
          />
        )}
      </svg>
      {label}
    </span>
  );
}
