// The search in figures: experts, mean rank, parameters against uniform, what is settled.
import type { SearchFrame, SearchHistory } from '../../state/search-history.ts';
import { percent, short, whole } from '../shared/format.ts';
import { Stat, Stats } from '../shared/Section.tsx';

export function SearchTotals({
  history,
  frame,
}: {
  history: SearchHistory;
  frame: SearchFrame | null;
}) {
  const { sites, sizes, experts, rank } = history.report;
  const totals = frame?.totals;
  const uniform = sizes === 'experts' ? `uniform ${experts} × ${rank}` : `rank ${rank} everywhere`;
  return (
    <div
      data-testid="search-totals"
      data-parameters={totals?.parameters}
      data-experts={totals?.experts}
    >
      <Stats>
        {sizes === 'experts' ? (
          <Stat
            label="Experts"
            value={totals ? whole(totals.experts) : '–'}
            note={`of ${whole(sites.length * experts)} at most`}
          />
        ) : (
          <Stat
            label="Open linears"
            value={totals ? whole(totals.open) : '–'}
            note={`of ${whole(sites.length)} linears`}
          />
        )}
        <Stat
          label="Mean rank"
          value={totals ? totals.meanRank.toFixed(2) : '–'}
          note={`of open ${sizes === 'experts' ? 'experts' : 'linears'}, at most ${rank}`}
        />
        <Stat
          label="Trainable parameters"
          value={totals ? whole(totals.parameters) : '–'}
          note={`${totals ? `${percent(totals.parameters, totals.uniform)} of ` : 'against '}${short(history.uniformParameters)} (${uniform})`}
        />
        <Stat
          label="Settled"
          value={totals ? `${whole(totals.settled)} of ${whole(sites.length)}` : '–'}
          note={`unchanged for ${history.window} steps`}
        />
      </Stats>
    </div>
  );
}
