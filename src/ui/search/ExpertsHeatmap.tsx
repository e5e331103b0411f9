// Heatmap A: how many experts each linear has, how sure the search is, and what is settled.
import { memo, useMemo } from 'react';
import type { SearchFrame } from '../../state/search-history.ts';
import { type CellSource, expertLooks } from './cell-values.ts';
import { type FrameView, useStepMark } from './frame-view.ts';
import { type CellLayout, margins } from './grid.ts';
import { Heatmap } from './Heatmap.tsx';
import { Key, RampKey } from './Legend.tsx';
import { expertsLabel } from './labels.ts';
import { drawExperts } from './paint.ts';

export interface SearchHeatmapProps {
  view: FrameView;
  layout: CellLayout;
  /**
   * What the table twin shows; null before the start has come. The cells follow the view itself.
   */
  frame: SearchFrame | null;
  selected: number | null;
  onSelect(site: number): void;
}

export const ExpertsHeatmap = memo(function ExpertsHeatmap(props: SearchHeatmapProps) {
  const { view, frame, ...grid } = props;
  const { layout } = grid;
  const { history } = view;
  const { experts, sites, closable } = history.report;
  const mark = useStepMark<HTMLElement>(view);
  const draw = useMemo(() => drawExperts(experts), [experts]);
  const source = useMemo(
    (): CellSource => ({
      subscribe: view.subscribe,
      looks: () => expertLooks(view.frame, sites.length),
      margins: () =>
        margins(
          layout,
          (s) => view.frame?.counts[s] ?? 0,
          () => (view.frame ? 1 : 0),
        ),
      label: (s) => expertsLabel(history, view.frame, s),
    }),
    [view, history, layout, sites],
  );
  return (
    <Heatmap
      attributes={{ ref: mark, 'data-testid': 'experts-heatmap' }}
      title="Experts of each linear"
      label="Experts by layer and linear"
      {...grid}
      source={source}
      draw={draw}
      cellHeight={32}
      table={{ caption: 'Experts of each linear, and how sure', cell: (s) => cellText(frame, s) }}
    >
      <RampKey max={experts} label="experts" />
      <Key mark="sure">how sure (also: the paler, the less)</Key>
      <Key mark="settled">settled: not moved for {history.window} steps</Key>
      {closable && <Key mark="closed">closed</Key>}
      <Key mark="unknown">not yet known</Key>
    </Heatmap>
  );
});

function cellText(frame: SearchFrame | null, site: number): string {
  if (!frame) return 'not yet known';
  const settled = frame.settled[site] ? ', settled' : '';
  return `${frame.counts[site]} · ${Math.round(100 * frame.confidence[site])} %${settled}`;
}
