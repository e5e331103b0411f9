// An allocation that stands still, for the review: counts and rank bars, locks, one cell selected.
import { useCallback, useMemo } from 'react';
import type { Allocation } from '../../adapters/allocation.ts';
import type { SearchSite } from '../../worker/api.ts';
import { CellGrid } from './CellGrid.tsx';
import { cellLayout, margins } from './grid.ts';
import { allocationLooks } from './looks.ts';
import { drawAllocation } from './paint.ts';
import { allocationLabel } from './words.ts';

export interface AllocationGridProps {
  sites: readonly SearchSite[];
  allocation: Allocation;
  maxExperts: number;
  maxRank: number;
  /** Module paths of locked sites. */
  locked: ReadonlySet<string>;
  /** Module path of the selected site. */
  selected: string | null;
  onSelect(path: string): void;
}

export function AllocationGrid({ sites, allocation, maxExperts, maxRank, locked, selected, onSelect }: AllocationGridProps) {
  const layout = useMemo(() => cellLayout(sites), [sites]);
  const paths = useMemo(() => sites.map((s) => s.path), [sites]);
  const looks = useMemo(() => allocationLooks(paths, allocation, locked, maxExperts), [paths, allocation, locked, maxExperts]);
  const draw = useMemo(() => drawAllocation(maxExperts, maxRank), [maxExperts, maxRank]);
  const means = useMemo(
    () =>
      margins(
        layout,
        (s) => allocation.experts[paths[s]],
        () => 1,
      ),
    [layout, allocation, paths],
  );
  const label = useCallback((s: number) => allocationLabel(sites[s], allocation, locked.has(sites[s].path)), [sites, allocation, locked]);
  const at = selected === null ? -1 : paths.indexOf(selected);
  return (
    <CellGrid
      label="Allocation: experts and ranks by layer and linear"
      layout={layout}
      looks={looks}
      draw={draw}
      margins={means}
      cellHeight={44}
      selected={at < 0 ? null : at}
      onSelect={(s) => onSelect(paths[s])}
      cellLabel={label}
    />
  );
}
