// Heatmap A: how many experts each linear has, or its one rank, how sure the search is, and what is
// settled.
import { memo, useMemo } from 'react';
import type { SearchFrame } from '../../state/search-history.ts';
import { type CellSource, sizeLooks } from './cell-values.ts';
import { type FrameView, useStepMark } from './frame-view.ts';
import { type CellLayout, margins } from './grid.ts';
import { Heatmap } from './Heatmap.tsx';
import { Key, RampKey } from './Legend.tsx';
import { sizeLabel } from './labels.ts';
import { drawSizes } from './paint.ts';

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

const words = {
  experts: { of: 'Experts of each linear', by: 'Experts by layer and linear', ramp: 'experts' },
  rank: { of: 'Rank of each linear', by: 'Ranks by layer and linear', ramp: 'rank' },
} as const;

export const SizesHeatmap = memo(function SizesHeatmap(props: SearchHeatmapProps) {
  const { view, frame, ...grid } = props;
  const { layout } = grid;
  const { history } = view;
  const { sites, sizes, closable } = history.report;
  const { of, by, ramp } = words[sizes];
  const mark = useStepMark<HTMLElement>(view);
  const draw = useMemo(() => drawSizes(history.most), [history]);
  const source = useMemo(
    (): CellSource => ({
      subscribe: view.subscribe,
      looks: () => sizeLooks(view.frame, sites.length),
      margins: () =>
        margins(
          layout,
          (s) => view.frame?.sizes[s] ?? 0,
          () => (view.frame ? 1 : 0),
        ),
      label: (s) => sizeLabel(history, view.frame, s),
    }),
    [view, history, layout, sites],
  );
  return (
    <Heatmap
      attributes={{ ref: mark, 'data-testid': 'sizes-heatmap' }}
      title={of}
      label={by}
      {...grid}
      source={source}
      draw={draw}
      cellHeight={32}
      table={{ caption: `${of}, and confidence`, cell: (s) => cellText(frame, s) }}
    >
      <RampKey max={history.most} label={ramp} />
      <Key mark="sure">confidence (the paler, the lower)</Key>
      <Key mark="settled">settled: unchanged for {history.window} steps</Key>
      {closable && <Key mark="closed">closed</Key>}
      <Key mark="unknown">not yet known</Key>
    </Heatmap>
  );
});

function cellText(frame: SearchFrame | null, site: number): string {
  if (!frame) return 'not yet known';
  const settled = frame.settled[site] ? ', settled' : '';
  return `${frame.sizes[site]} · ${Math.round(100 * frame.confidence[site])} %${settled}`;
}
