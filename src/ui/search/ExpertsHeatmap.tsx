// Heatmap A: how many experts each linear has, how sure the search is, and what is settled.
import { memo, useCallback, useMemo } from 'react';
import type { SearchFrame, SearchHistory } from '../../state/search-history.ts';
import { CellGrid } from './CellGrid.tsx';
import { type CellLayout, margins } from './grid.ts';
import { Key, Keys, RampKey } from './Keys.tsx';
import { expertLooks } from './looks.ts';
import { drawExperts } from './paint.ts';
import { Twin } from './Twin.tsx';
import { expertsLabel } from './words.ts';

export interface HeatmapProps {
  history: SearchHistory;
  layout: CellLayout;
  /** Null before the start has come. */
  frame: SearchFrame | null;
  selected: number | null;
  onSelect(site: number): void;
}

export const ExpertsHeatmap = memo(function ExpertsHeatmap({ history, layout, frame, selected, onSelect }: HeatmapProps) {
  const { experts, sites, closable } = history.report;
  const looks = useMemo(() => expertLooks(frame, sites.length), [frame, sites]);
  const draw = useMemo(() => drawExperts(experts), [experts]);
  const means = useMemo(
    () =>
      margins(
        layout,
        (s) => frame?.counts[s] ?? 0,
        () => (frame ? 1 : 0),
      ),
    [layout, frame],
  );
  const label = useCallback((s: number) => expertsLabel(history, frame, s), [history, frame]);
  const keys = useMemo(() => <ExpertsKeys most={experts} window={history.window} closable={closable} />, [experts, history, closable]);
  return (
    <figure className="min-w-0" data-testid="experts-heatmap" data-step={frame?.step ?? -1}>
      <figcaption className="mb-2 flex min-h-10 items-center text-sm font-semibold">Experts of each linear</figcaption>
      <CellGrid
        label="Experts by layer and linear"
        layout={layout}
        looks={looks}
        draw={draw}
        margins={means}
        cellHeight={32}
        selected={selected}
        onSelect={onSelect}
        cellLabel={label}
      />
      {keys}
      <Twin layout={layout} caption="Experts of each linear, and how sure" cell={(s) => cellText(frame, s)} />
    </figure>
  );
});

const ExpertsKeys = ({ most, window, closable }: { most: number; window: number; closable: boolean }) => (
  <Keys>
    <RampKey max={most} label="experts" />
    <Key mark="sure">how sure (also: the paler, the less)</Key>
    <Key mark="settled">settled: not moved for {window} steps</Key>
    {closable && <Key mark="closed">closed</Key>}
    <Key mark="unknown">not yet known</Key>
  </Keys>
);

function cellText(frame: SearchFrame | null, site: number): string {
  if (!frame) return 'not yet known';
  const settled = frame.settled[site] ? ', settled' : '';
  return `${frame.counts[site]} · ${Math.round(100 * frame.confidence[site])} %${settled}`;
}
