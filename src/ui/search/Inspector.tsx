// One linear of the search: what its GSVs say at the shown step, how that came about, and what it
// costs.
import { memo, type ReactNode } from 'react';
import type { SearchFrame, SearchHistory } from '../../state/search-history.ts';
import { whole } from '../shared/format.ts';
import { Distribution, HistoryChart, RankStrips } from './charts.tsx';
import { siteName, sizeText, sureText } from './labels.ts';

export interface InspectorProps {
  history: SearchHistory;
  frame: SearchFrame | null;
  site: number | null;
  /** Changes as the history grows. */
  version: number;
}

export const Inspector = memo(function Inspector({ history, frame, site }: InspectorProps) {
  if (site === null || !frame) {
    return (
      <p
        className="rounded-xl border border-dashed border-line-strong px-4 py-5 text-center text-muted"
        data-testid="inspector"
      >
        {frame
          ? 'Choose a cell to see its GuidedSelection Vectors.'
          : 'No values yet: the first appear when the search starts.'}
      </p>
    );
  }
  const { report } = history;
  const at = report.sites[site];
  const { size: probabilities, ranks } = history.distributions(history.indexOf(frame.step), site);
  const size = frame.sizes[site];
  const [name, panel] =
    report.sizes === 'experts' ? ['Experts', 'Number of experts'] : ['Rank', 'Rank'];
  const before = history.moved(site, frame.step);
  const first = report.closable ? 0 : 1;
  const rankOf = (i: number) => frame.ranks[site * report.experts + i];
  return (
    <section
      className="rounded-xl border border-line p-4"
      aria-label={`Inspector: ${siteName(at)}`}
      data-testid="inspector"
    >
      <div className="flex flex-wrap items-baseline gap-x-3">
        <h3 className="font-semibold">{siteName(at)}</h3>
        <code className="text-sm break-all text-muted">{at.path}</code>
      </div>
      <dl className="mt-2 flex flex-wrap gap-x-6 gap-y-1 text-sm tabular-nums">
        <Fact name={name}>
          {sizeText(report.sizes, size)}, {sureText(frame.confidence[site])}
        </Fact>
        <Fact name="Changed">
          {before ? `at step ${before.since}, from ${before.was}` : 'never'}
        </Fact>
        <Fact name="Settled">{frame.settled[site] ? 'yes' : 'not yet'}</Fact>
        <Fact name="Features">
          {whole(at.inputs)} → {whole(at.outputs)}
        </Fact>
        <Fact name="Parameters">{whole(history.siteParameters(frame, site))}</Fact>
      </dl>
      <div className="mt-4 grid gap-x-8 gap-y-5 md:grid-cols-2 xl:grid-cols-3">
        <Panel title={panel}>
          <Distribution
            probabilities={probabilities}
            first={first}
            chosen={size}
            label={`Probability of each ${panel.toLowerCase()}; chosen: ${size}`}
          />
        </Panel>
        {ranks.length > 0 && (
          <Panel title="Rank of each expert">
            <RankStrips ranks={ranks} chosen={rankOf} open={size} />
          </Panel>
        )}
        <Panel title="Over the steps">
          <HistoryChart
            series={history.siteHistory(site)}
            name={name}
            most={history.most}
            last={Math.max(report.steps, history.lastStep)}
            step={frame.step}
          />
        </Panel>
      </div>
      <details className="mt-3 text-sm">
        <summary className="w-fit py-0.5 text-muted">Probabilities as a table</summary>
        <Probabilities name={name} sizes={probabilities} ranks={ranks} first={first} />
      </details>
    </section>
  );
});

const Fact = ({ name, children }: { name: string; children: ReactNode }) => (
  <div className="flex gap-1.5">
    <dt className="text-muted">{name}</dt>
    <dd className="font-medium">{children}</dd>
  </div>
);

const Panel = ({ title, children }: { title: string; children: ReactNode }) => (
  <div className="min-w-0">
    <h4 className="mb-1.5 text-sm text-muted">{title}</h4>
    {children}
  </div>
);

const cellText = (p: number | undefined) => (p === undefined ? '' : `${(100 * p).toFixed(1)} %`);

/** Sizes down, GSVs across. */
function Probabilities({
  name,
  sizes,
  ranks,
  first,
}: {
  name: string;
  sizes: Float64Array;
  ranks: Float64Array[];
  first: number;
}) {
  const last = Math.max(first + sizes.length - 1, ...ranks.map((p) => p.length));
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
    <section className="max-h-80 overflow-auto" aria-label="Probabilities" tabIndex={0}>
      <table className="table tabular-nums whitespace-nowrap">
        <thead>
          <tr>
            <th scope="col">Size</th>
            <th scope="col">{name}</th>
            {ranks.map((_, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: an expert is its index
              <th key={i} scope="col">
                Rank of expert {i + 1}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {Array.from({ length: last - first + 1 }, (_, k) => first + k).map((size) => (
            <tr key={size}>
              <th scope="row">{size}</th>
              <td>{cellText(sizes[size - first])}</td>
              {ranks.map((p, i) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: an expert is its index
                <td key={i}>{cellText(p[size - 1])}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
