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
  const { sites, experts, rank } = history.report;
  const most = sites.length * experts;
  const totals = frame?.totals;
  return (
    <div
      data-testid="search-totals"
      data-parameters={totals?.parameters}
      data-experts={totals?.experts}
    >
      <Stats>
        <Stat
          label="Experts"
          value={totals ? whole(totals.experts) : '–'}
          note={`of ${whole(most)} at most`}
        />
        <Stat
          label="Mean rank"
          value={totals ? totals.meanRank.toFixed(2) : '–'}
          note={`of open experts, at most ${rank}`}
        />
        <Stat
          label="Trainable parameters"
          value={totals ? whole(totals.parameters) : '–'}
          note={`${totals ? `${percent(totals.parameters, totals.uniform)} of ` : 'against '}${short(history.uniformParameters)} (uniform ${experts} × ${rank})`}
        />
        <Stat
          label="Settled"
          value={totals ? `${whole(totals.settled)} of ${whole(sites.length)}` : '–'}
          note={`not moved for ${history.window} steps`}
        />
      </Stats>
    </div>
  );
}
