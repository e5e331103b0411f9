// The words of the heatmaps: what a cell is called and says.
import type { Allocation, Sizes, Target } from '../../allocation/allocation.ts';
import { siteRanks } from '../../allocation/allocation.ts';
import { isDead, type Routing } from '../../state/recent-routing.ts';
import type { SearchFrame, SearchHistory } from '../../state/search-history.ts';
import type { SearchReport } from '../../worker/protocol/api.ts';

/** "Layer 12, q_proj". */
export const siteName = (site: { layer: number; target: Target }): string =>
  `Layer ${site.layer}, ${site.target}`;

/** "4 experts", "1 expert", "closed, 0 experts"; "rank 3", "closed, rank 0". */
export function sizeText(sizes: Sizes, size: number): string {
  const text = sizes === 'rank' ? `rank ${size}` : `${size} ${size === 1 ? 'expert' : 'experts'}`;
  return size === 0 ? `closed, ${text}` : text;
}

export const sureText = (confidence: number): string => `${Math.round(100 * confidence)} % sure`;

/** "Layer 12, q_proj: 4 experts, 71 % sure, was 6, settled". */
export function sizeLabel(history: SearchHistory, frame: SearchFrame | null, site: number): string {
  const name = siteName(history.report.sites[site]);
  if (!frame) return `${name}: not yet known`;
  const before = history.moved(site, frame.step);
  const size = sizeText(history.report.sizes, frame.sizes[site]);
  const parts = [size, sureText(frame.confidence[site])];
  if (before) parts.push(`was ${before.was}`);
  if (frame.settled[site]) parts.push('settled');
  return `${name}: ${parts.join(', ')}`;
}

/** "Layer 12, q_proj: ranks 4, 8, 2; closed 5, 1". */
export function ranksLabel(report: SearchReport, frame: SearchFrame | null, site: number): string {
  const name = siteName(report.sites[site]);
  if (!frame) return `${name}: not yet known`;
  const ranks = Array.from(
    frame.ranks.subarray(site * report.experts, (site + 1) * report.experts),
  );
  const count = frame.counts[site];
  if (count === 0) return `${name}: closed, no ranks`;
  const closed = ranks.slice(count);
  return `${name}: ranks ${ranks.slice(0, count).join(', ')}${closed.length > 0 ? `; closed experts ${closed.join(', ')}` : ''}`;
}

/**
 * "Layer 12, q_proj: expert 1 48 %, expert 2 52 %, expert 3 0 %, dead". `start`: where the site's
 * shares begin.
 */
export function routingLabel(
  site: { layer: number; target: Target },
  routing: Routing,
  index: number,
  start: number,
): string {
  const { experts } = routing.sites[index];
  if (experts === 0) return `${siteName(site)}: closed, no experts`;
  const shares = Array.from(routing.shares.subarray(start, start + experts));
  const one = (share: number, i: number) =>
    `expert ${i + 1} ${Math.round(100 * share)} %${isDead(share, experts) ? ', dead' : ''}`;
  return `${siteName(site)}: ${shares.map(one).join(', ')}`;
}

/** "Layer 12, q_proj: 2 experts, ranks 4, 8, locked"; "Layer 12, q_proj: rank 4". */
export function allocationLabel(
  sizes: Sizes,
  site: { layer: number; target: Target; path: string },
  allocation: Allocation,
  locked: boolean,
): string {
  const ranks = siteRanks(allocation, site.path);
  const parts = [
    sizeText(sizes, sizes === 'rank' ? (ranks[0] ?? 0) : ranks.length),
    ...(sizes === 'experts' && ranks.length > 0 ? [`ranks ${ranks.join(', ')}`] : []),
    ...(locked ? ['locked'] : []),
  ];
  return `${siteName(site)}: ${parts.join(', ')}`;
}
