// Heatmap B: the rank of every expert as a bar, or the mean rank of the open ones as a colour.
import { memo, useCallback, useMemo, useState } from 'react';
import type { SearchFrame } from '../../state/search-history.ts';
import { Choice } from '../shared/controls.tsx';
import { CellGrid } from './CellGrid.tsx';
import type { HeatmapProps } from './ExpertsHeatmap.tsx';
import { margins } from './grid.ts';
import { Key, Keys, RampKey } from './Keys.tsx';
import { meanRankLooks, openRanks, rankLooks } from './looks.ts';
import { drawMeanRank, drawRanks } from './paint.ts';
import { Twin } from './Twin.tsx';
import { ranksLabel } from './words.ts';

const views = [
  { value: 'bars', label: 'Each expert' },
  { value: 'mean', label: 'Mean' },
] as const;

type View = (typeof views)[number]['value'];

export const RanksHeatmap = memo(function RanksHeatmap({ history, layout, frame, selected, onSelect }: HeatmapProps) {
  const { report } = history;
  const { experts, rank, sites, closable } = report;
  const [view, setView] = useState<View>('bars');
  const looks = useMemo(
    () => (view === 'bars' ? rankLooks(frame, sites.length, experts) : meanRankLooks(frame, sites.length, experts)),
    [view, frame, sites, experts],
  );
  const draw = useMemo(() => (view === 'bars' ? drawRanks(rank) : drawMeanRank(rank)), [view, rank]);
  const means = useMemo(
    () =>
      margins(
        layout,
        (s) => (frame ? openRanks(frame, s, experts) : 0),
        (s) => frame?.counts[s] ?? 0,
      ),
    [layout, frame, experts],
  );
  const label = useCallback((s: number) => ranksLabel(report, frame, s), [report, frame]);
  // What does not follow the frame is not rendered again with it.
  const caption = useMemo(
    () => (
      <figcaption className="mb-2 flex min-h-10 flex-wrap items-center justify-between gap-x-4 gap-y-1 text-sm">
        <span className="font-semibold">Ranks of each expert</span>
        <Choice label="Ranks as" hideLabel value={view} options={views} onChange={(v) => setView(v)} />
      </figcaption>
    ),
    [view],
  );
  const keys = useMemo(() => <RanksKeys view={view} most={rank} closable={closable} />, [view, rank, closable]);
  return (
    <figure className="min-w-0" data-testid="ranks-heatmap" data-step={frame?.step ?? -1}>
      {caption}
      <CellGrid
        label="Ranks by layer and linear"
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
      <Twin layout={layout} caption="Ranks of the open experts of each linear" cell={(s) => cellText(frame, s, experts)} />
    </figure>
  );
});

const RanksKeys = ({ view, most, closable }: { view: View; most: number; closable: boolean }) => (
  <Keys>
    {view === 'bars' ? (
      <>
        <Key mark="bar">open expert: height = rank, up to {most}</Key>
        <Key mark="faint">closed expert</Key>
      </>
    ) : (
      <RampKey max={most} label="mean rank of open experts" />
    )}
    {closable && <Key mark="closed">closed</Key>}
  </Keys>
);

function cellText(frame: SearchFrame | null, site: number, experts: number): string {
  if (!frame) return 'not yet known';
  const count = frame.counts[site];
  return count === 0 ? 'closed' : Array.from(frame.ranks.subarray(site * experts, site * experts + count)).join(', ');
}
