// Heatmap C: where tokens go while the found allocation trains, a bar per expert; dead experts
// hatched.
import { useMemo, useState } from 'react';
import { targetOf } from '../../allocation/allocation.ts';
import { isDead, type Routing } from '../../state/recent-routing.ts';
import { whole } from '../shared/format.ts';
import { routingLooks, still } from './cell-values.ts';
import { cellLayout, layerOf } from './grid.ts';
import { Heatmap } from './Heatmap.tsx';
import { Key } from './Legend.tsx';
import { routingLabel } from './labels.ts';
import { drawRouting } from './paint.ts';

export interface RoutingHeatmapProps {
  /**
   * Sites in any order; those without experts have 0. `shares` is a mean over recent batches, as
   * RecentRouting keeps it.
   */
  routing: Routing;
  /** Changes whenever the shares do. */
  version: number;
}

export function RoutingHeatmap({ routing, version }: RoutingHeatmapProps) {
  const { sites } = routing;
  const [selected, setSelected] = useState<number | null>(null);
  const named = useMemo(
    () => sites.map((s) => ({ ...s, layer: layerOf(s.path), target: targetOf(s.path) })),
    [sites],
  );
  const layout = useMemo(() => cellLayout(named), [named]);
  const starts = useMemo(() => startsOf(sites), [sites]);
  const most = useMemo(() => Math.max(1, ...sites.map((s) => s.experts)), [sites]);
  const label = (s: number) => routingLabel(named[s], routing, s, starts[s]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the shares change in place, and the version with them
  const source = useMemo(() => {
    const looks = routingLooks(routing, most);
    return still({ looks: () => looks, label });
  }, [routing, most, version]);
  const dead = sites.reduce(
    (sum, site, s) =>
      sum +
      routing.shares
        .subarray(starts[s], starts[s + 1])
        .filter((share) => isDead(share, site.experts)).length,
    0,
  );
  return (
    <Heatmap
      attributes={{ 'data-testid': 'routing-heatmap', 'data-dead': dead }}
      title="Routing: share of tokens by expert"
      aside={
        <span className="text-muted">
          {dead === 0
            ? 'no dead experts'
            : `${whole(dead)} of ${whole(starts[sites.length])} experts are dead`}
        </span>
      }
      label="Routing: share of tokens of each expert by layer and linear"
      layout={layout}
      source={source}
      draw={drawRouting}
      cellHeight={36}
      selected={selected}
      onSelect={setSelected}
      table={{
        caption: 'Share of kept tokens of each expert',
        cell: (s) => sharesText(routing, starts[s], sites[s].experts),
      }}
      detail={
        <p className="hint mt-2 min-h-6" data-testid="routing-cell">
          {selected === null ? 'Choose a cell for its figures.' : label(selected)}
        </p>
      }
    >
      <Key mark="bar">share in the latest batches; half the height is an even share</Key>
      <Key mark="dead">dead: below a twentieth of an even share</Key>
      <Key mark="closed">no experts</Key>
    </Heatmap>
  );
}

/** Where each site's shares begin, and after them where the last ones end. */
function startsOf(sites: Routing['sites']): number[] {
  const starts = [0];
  for (const site of sites) starts.push(starts[starts.length - 1] + site.experts);
  return starts;
}

function sharesText(routing: Routing, start: number, experts: number): string {
  if (experts === 0) return 'closed';
  const shares = Array.from(routing.shares.subarray(start, start + experts));
  return shares
    .map((s) => `${Math.round(100 * s)} %${isDead(s, experts) ? ' (dead)' : ''}`)
    .join(', ');
}
