// The search as it forms: totals, heatmaps A and B, the scrubber over its steps, and the inspector
// of one cell.
import { memo, useMemo, useState } from 'react';
import type { SearchHistory } from '../../state/search-history.ts';
import { useFigures, useFrameView, useStepMark } from './frame-view.ts';
import { cellLayout } from './grid.ts';
import { Inspector } from './Inspector.tsx';
import { RanksHeatmap } from './RanksHeatmap.tsx';
import { Scrubber } from './Scrubber.tsx';
import { SearchTotals } from './SearchTotals.tsx';
import { SizesHeatmap } from './SizesHeatmap.tsx';
import { labelWidth, meanWidth } from './useCanvas.ts';

/** Follows the history by itself; nothing above it needs to render as it grows. */
export const SearchLive = memo(function SearchLive({ history }: { history: SearchHistory }) {
  const view = useFrameView(history);
  const { at, frame, version } = useFigures(view);
  const mark = useStepMark<HTMLDivElement>(view);
  const [selected, setSelected] = useState<number | null>(null);
  const layout = useMemo(() => cellLayout(history.report.sites), [history]);
  // Both heatmaps side by side where even wide cells leave room for it.
  const wanted = labelWidth + meanWidth + layout.columns.length * 40;
  const shared = { view, layout, frame, selected, onSelect: setSelected };
  return (
    <div ref={mark} className="flex min-w-0 flex-col gap-5" data-testid="search-live">
      <SearchTotals history={history} frame={frame} />
      <div className="flex flex-wrap gap-x-8 gap-y-6">
        <div className="min-w-0 max-w-full" style={{ flex: `1 1 ${wanted}px` }}>
          <SizesHeatmap {...shared} />
        </div>
        {history.report.sizes === 'experts' && (
          <div className="min-w-0 max-w-full" style={{ flex: `1 1 ${wanted}px` }}>
            <RanksHeatmap {...shared} />
          </div>
        )}
      </div>
      <Scrubber view={view} at={at} version={version} />
      <Inspector history={history} frame={frame} site={selected} version={version} />
    </div>
  );
});
