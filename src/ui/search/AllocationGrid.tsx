// An allocation that stands still, for the review: counts and rank bars, locks, one cell selected.
import { useMemo } from 'react';
import { type Allocation, siteRanks } from '../../allocation/allocation.ts';
import type { SearchSite } from '../../worker/protocol/api.ts';
import { allocationLooks, still } from './cell-values.ts';
import { cellLayout, margins } from './grid.ts';
import { Heatmap } from './Heatmap.tsx';
import { Key, RampKey } from './Legend.tsx';
import { allocationLabel } from './labels.ts';
import { drawAllocation } from './paint.ts';

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

export function AllocationGrid(props: AllocationGridProps) {
  const { sites, allocation, maxExperts, maxRank, locked, selected, onSelect } = props;
  const layout = useMemo(() => cellLayout(sites), [sites]);
  const paths = useMemo(() => sites.map((s) => s.path), [sites]);
  const draw = useMemo(() => drawAllocation(maxExperts, maxRank), [maxExperts, maxRank]);
  const source = useMemo(() => {
    const looks = allocationLooks(paths, allocation, locked, maxExperts);
    const means = margins(
      layout,
      (s) => allocation.experts[paths[s]],
      () => 1,
    );
    return still({
      looks: () => looks,
      margins: () => means,
      label: (s) => allocationLabel(sites[s], allocation, locked.has(paths[s])),
    });
  }, [layout, sites, paths, allocation, locked, maxExperts]);
  const at = selected === null ? -1 : paths.indexOf(selected);
  return (
    <Heatmap
      title="Experts and ranks of each linear"
      label="Allocation: experts and ranks by layer and linear"
      layout={layout}
      source={source}
      draw={draw}
      cellHeight={44}
      selected={at < 0 ? null : at}
      onSelect={(s) => onSelect(paths[s])}
      table={{
        caption: 'Ranks of the experts of each linear',
        cell: (s) =>
          `${siteRanks(allocation, paths[s]).join(', ') || 'closed'}${locked.has(paths[s]) ? ' (locked)' : ''}`,
      }}
    >
      <RampKey max={maxExperts} label="experts" />
      <Key mark="bar">height = rank, up to {maxRank}</Key>
      <Key mark="lock">locked</Key>
      <Key mark="closed">no experts</Key>
    </Heatmap>
  );
}
