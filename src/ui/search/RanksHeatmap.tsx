// Heatmap B: the rank of every expert as a bar, or the mean rank of the open ones as a colour.
import { memo, useMemo, useState } from 'react';
import type { SearchFrame } from '../../state/search-history.ts';
import { Choice } from '../shared/controls.tsx';
import { type CellSource, meanRankLooks, openRanks, rankLooks } from './cell-values.ts';
import { useStepMark } from './frame-view.ts';
import { margins } from './grid.ts';
import { Heatmap } from './Heatmap.tsx';
import { Key, RampKey } from './Legend.tsx';
import { ranksLabel } from './labels.ts';
import { drawMeanRank, drawRanks } from './paint.ts';
import type { SearchHeatmapProps } from './SizesHeatmap.tsx';

const shapes = [
  { value: 'bars', label: 'Each expert' },
  { value: 'mean', label: 'Mean' },
] as const;

type Shape = (typeof shapes)[number]['value'];

export const RanksHeatmap = memo(function RanksHeatmap(props: SearchHeatmapProps) {
  const { view, frame, ...grid } = props;
  const { layout } = grid;
  const { report } = view.history;
  const { experts, rank, sites, closable } = report;
  const mark = useStepMark<HTMLElement>(view);
  const [shape, setShape] = useState<Shape>('bars');
  const draw = useMemo(
    () => (shape === 'bars' ? drawRanks(rank) : drawMeanRank(rank)),
    [shape, rank],
  );
  const source = useMemo(
    (): CellSource => ({
      subscribe: view.subscribe,
      looks: () =>
        (shape === 'bars' ? rankLooks : meanRankLooks)(view.frame, sites.length, experts),
      margins: () =>
        margins(
          layout,
          (s) => (view.frame ? openRanks(view.frame, s, experts) : 0),
          (s) => view.frame?.counts[s] ?? 0,
        ),
      label: (s) => ranksLabel(report, view.frame, s),
    }),
    [view, shape, report, layout, sites, experts],
  );
  return (
    <Heatmap
      attributes={{ ref: mark, 'data-testid': 'ranks-heatmap' }}
      title="Ranks of each expert"
      aside={
        <Choice
          label="Ranks as"
          hideLabel
          value={shape}
          options={shapes}
          onChange={(v) => setShape(v)}
        />
      }
      label="Ranks by layer and linear"
      {...grid}
      source={source}
      draw={draw}
      cellHeight={32}
      table={{
        caption: 'Ranks of the open experts of each linear',
        cell: (s) => cellText(frame, s, experts),
      }}
    >
      {shape === 'bars' ? (
        <>
          <Key mark="bar">open expert: height = rank, up to {rank}</Key>
          <Key mark="faint">closed expert</Key>
        </>
      ) : (
        <RampKey max={rank} label="mean rank of open experts" />
      )}
      {closable && <Key mark="closed">closed</Key>}
    </Heatmap>
  );
});

function cellText(frame: SearchFrame | null, site: number, experts: number): string {
  if (!frame) return 'not yet known';
  const count = frame.counts[site];
  return count === 0
    ? 'closed'
    : Array.from(frame.ranks.subarray(site * experts, site * experts + count)).join(', ');
}
