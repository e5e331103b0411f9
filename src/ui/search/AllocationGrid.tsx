// An allocation that stands still, for the review: counts and rank bars, or one rank a linear;
// locks, one cell selected.
import { useMemo } from 'react';
import { type Allocation, type Sizes, siteRanks } from '../../allocation/allocation.ts';
import type { SearchSite } from '../../worker/protocol/api.ts';
import { allocationLooks, rankAllocationLooks, still } from './cell-values.ts';
import { cellLayout, margins } from './grid.ts';
import { Heatmap } from './Heatmap.tsx';
import { Key, RampKey } from './Legend.tsx';
import { allocationLabel } from './labels.ts';
import { drawAllocation, drawRankAllocation } from './paint.ts';

export interface AllocationGridProps {
  sites: readonly SearchSite[];
  sizes: Sizes;
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
  const { sites, sizes, allocation, maxExperts, maxRank, locked, selected, onSelect } = props;
  const counted = sizes === 'experts';
  const layout = useMemo(() => cellLayout(sites), [sites]);
  const paths = useMemo(() => sites.map((s) => s.path), [sites]);
  const draw = useMemo(
    () => (counted ? drawAllocation(maxExperts, maxRank) : drawRankAllocation(maxRank)),
    [counted, maxExperts, maxRank],
  );
  const source = useMemo(() => {
    const looks = counted
      ? allocationLooks(paths, allocation, locked, maxExperts)
      : rankAllocationLooks(paths, allocation, locked);
    const means = margins(
      layout,
      (s) => (counted ? allocation.experts[paths[s]] : (siteRanks(allocation, paths[s])[0] ?? 0)),
      () => 1,
    );
    return still({
      looks: () => looks,
      margins: () => means,
      label: (s) => allocationLabel(sizes, sites[s], allocation, locked.has(paths[s])),
    });
  }, [layout, sites, sizes, counted, paths, allocation, locked, maxExperts]);
  const at = selected === null ? -1 : paths.indexOf(selected);
  return (
    <Heatmap
      title={counted ? 'Experts and ranks of each linear' : 'Rank of each linear'}
      label={`Allocation: ${counted ? 'experts and ranks' : 'ranks'} by layer and linear`}
      layout={layout}
      source={source}
      draw={draw}
      cellHeight={counted ? 44 : 32}
      selected={at < 0 ? null : at}
      onSelect={(s) => onSelect(paths[s])}
      table={{
        caption: counted ? 'Ranks of the experts of each linear' : 'Rank of each linear',
        cell: (s) =>
          `${siteRanks(allocation, paths[s]).join(', ') || 'closed'}${locked.has(paths[s]) ? ' (locked)' : ''}`,
      }}
    >
      {counted ? (
        <>
          <RampKey max={maxExperts} label="experts" />
          <Key mark="bar">height = rank, up to {maxRank}</Key>
        </>
      ) : (
        <RampKey max={maxRank} label="rank" />
      )}
      <Key mark="lock">locked</Key>
      <Key mark="closed">closed</Key>
    </Heatmap>
  );
}
