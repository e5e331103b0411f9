// The search as it forms: totals, heatmaps A and B, the scrubber over its steps, and the inspector of one cell.
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import type { SearchHistory } from '../../state/search-history.ts';
import type { SearchReport } from '../../worker/api.ts';
import { ExpertsHeatmap } from './ExpertsHeatmap.tsx';
import { cellLayout } from './grid.ts';
import { Inspector } from './Inspector.tsx';
import { RanksHeatmap } from './RanksHeatmap.tsx';
import { Scrubber } from './Scrubber.tsx';
import { SearchTotals } from './SearchTotals.tsx';
import { labelWidth, meanWidth } from './useCanvas.ts';

/** Figures and charts follow at this distance; the heatmaps follow every version. */
const figuresEvery = 1000;

export interface SearchLiveProps {
  report: SearchReport;
  history: SearchHistory;
  /** Changes whenever the history grows. */
  version: number;
}

export function SearchLive({ report, history, version }: SearchLiveProps) {
  const [at, setAt] = useState<number | null>(null);
  const [selected, setSelected] = useState<number | null>(null);
  const layout = useMemo(() => cellLayout(report.sites), [report]);
  const newest = at === null ? version : 0;
  const index = at === null ? history.length - 1 : history.indexOf(at);
  const step = history.length > 0 ? history.stepAt(index) : -1;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the newest frame changes with the version, an older one with its step
  const frame = useMemo(() => history.frame(index), [history, step, newest]);
  const slow = useSlow(
    useMemo(() => ({ frame, version }), [frame, version]),
    at === null,
  );
  const select = useCallback((site: number) => setSelected(site), []);
  // Both heatmaps side by side where even wide cells leave room for it.
  const wanted = labelWidth + meanWidth + layout.columns.length * 40;
  return (
    <div className="flex min-w-0 flex-col gap-5" data-testid="search-live" data-step={step}>
      <SearchTotals history={history} frame={slow.frame} />
      <div className="flex flex-wrap gap-x-8 gap-y-6">
        {[ExpertsHeatmap, RanksHeatmap].map((Heatmap, i) => (
          <div key={i === 0 ? 'experts' : 'ranks'} className="min-w-0 max-w-full" style={{ flex: `1 1 ${wanted}px` }}>
            <Heatmap history={history} layout={layout} frame={frame} selected={selected} onSelect={select} />
          </div>
        ))}
      </div>
      <Scrubber history={history} at={at} version={slow.version} onChange={setAt} />
      <Inspector history={history} frame={slow.frame} site={selected} version={slow.version} />
    </div>
  );
}

/** Follows a value at most once a second, or at once where `slow` is false. */
function useSlow<T>(value: T, slow: boolean): T {
  const [shown, setShown] = useState(value);
  const last = useRef(0);
  useEffect(() => {
    if (!slow) return;
    const show = () => {
      last.current = performance.now();
      setShown(value);
    };
    const wait = last.current + figuresEvery - performance.now();
    if (wait <= 0) return show();
    const timer = setTimeout(show, wait);
    return () => clearTimeout(timer);
  }, [value, slow]);
  return slow ? shown : value;
}
