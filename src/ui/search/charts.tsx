// The inspector's small charts: a distribution, strips of rank distributions, and a site's history.
import type { SiteHistory } from '../../state/search-history.ts';

const labelsAtMost = 12;

/**
 * Bars of probabilities; the first is of size `first`, the chosen size is solid and its number
 * bold.
 */
export function Distribution(props: {
  probabilities: Float64Array;
  first: number;
  chosen: number;
  label: string;
}) {
  const { probabilities, first, chosen, label } = props;
  const n = probabilities.length;
  const most = Math.max(...probabilities);
  const every = Math.ceil(n / labelsAtMost);
  return (
    <div role="img" aria-label={label}>
      <div className="flex h-20 items-end gap-px border-b border-line-strong" aria-hidden="true">
        {Array.from(probabilities, (p, k) => (
          <div
            // biome-ignore lint/suspicious/noArrayIndexKey: a size is its index
            key={k}
            className={`grow basis-0 forced-colors:bg-[CanvasText] ${first + k === chosen ? 'bg-accent' : 'bg-line-strong opacity-60'}`}
            style={{ height: `${Math.max(1, (100 * p) / most)}%` }}
          />
        ))}
      </div>
      <div className="flex gap-px text-xs text-muted tabular-nums" aria-hidden="true">
        {Array.from(probabilities, (p, k) => (
          <div
            // biome-ignore lint/suspicious/noArrayIndexKey: a size is its index
            key={k}
            className={`grow basis-0 text-center ${first + k === chosen ? 'font-bold text-ink' : ''}`}
          >
            {k % every === 0 || first + k === chosen ? first + k : ''}
            {n <= 9 && <div className="text-[0.6875rem] font-normal">{Math.round(100 * p)} %</div>}
          </div>
        ))}
      </div>
    </div>
  );
}

/**
 * A row per expert: how probable each rank is as depth of colour, the chosen one outlined; closed
 * experts faint.
 */
export function RankStrips({
  ranks,
  chosen,
  open,
}: {
  ranks: Float64Array[];
  chosen: (expert: number) => number;
  open: number;
}) {
  return (
    <ul className="flex max-h-56 flex-col gap-1 overflow-y-auto text-xs tabular-nums">
      {ranks.map((p, i) => {
        const rank = chosen(i);
        const most = Math.max(...p);
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: an expert is its index
          <li key={i} className="flex items-center gap-2">
            <span className={`w-14 shrink-0 ${i < open ? '' : 'text-muted line-through'}`}>
              expert {i + 1}
            </span>
            <span className="flex h-4 min-w-0 grow gap-px" aria-hidden="true">
              {Array.from(p, (v, k) => (
                <span
                  // biome-ignore lint/suspicious/noArrayIndexKey: a rank is its index
                  key={k}
                  className={`min-w-0 grow basis-0 rounded-xs border ${k + 1 === rank ? 'border-ink forced-colors:bg-[CanvasText]!' : 'border-transparent'}`}
                  style={{
                    background: `color-mix(in srgb, var(${i < open ? '--accent' : '--line-strong'}) ${Math.round((80 * v) / most)}%, var(--sunk))`,
                  }}
                />
              ))}
            </span>
            <span className={`w-24 shrink-0 text-right ${i < open ? '' : 'text-muted'}`}>
              {i < open ? '' : 'closed, '}
              {rank} · {Math.round(100 * p[rank - 1])} %
            </span>
          </li>
        );
      })}
    </ul>
  );
}

const box = { width: 320, height: 96 };

/**
 * Size as steps and confidence as a dashed line, over the whole length of the search; a rule at
 * the shown step.
 */
export function HistoryChart(props: {
  series: SiteHistory;
  /** Of the size: "Experts" or "Rank". */
  name: string;
  most: number;
  last: number;
  step: number;
}) {
  const { series, name, most, last, step } = props;
  const x = (s: number) => (box.width * s) / Math.max(1, last);
  const y = (share: number) => 2 + (box.height - 4) * (1 - share);
  const n = series.step.length;
  let sizes = '';
  let sure = '';
  for (let i = 0; i < n; i++) {
    const [at, size] = [x(series.step[i]).toFixed(1), y(series.size[i] / most).toFixed(1)];
    sizes += i === 0 ? `M${at} ${size}` : `H${at}V${size}`;
    sure += `${i === 0 ? 'M' : 'L'}${at} ${y(series.confidence[i]).toFixed(1)}`;
  }
  return (
    <div>
      <svg
        viewBox={`0 0 ${box.width} ${box.height}`}
        preserveAspectRatio="none"
        className="h-24 w-full border-b border-l border-line-strong"
        role="img"
        aria-label={`${name} over the steps: from ${series.size[0]} to ${series.size[n - 1]}`}
      >
        <g fill="none" vectorEffect="non-scaling-stroke">
          <path
            d={`M${x(step)} 0V${box.height}`}
            stroke="var(--line-strong)"
            vectorEffect="non-scaling-stroke"
          />
          <path
            d={sure}
            stroke="var(--second)"
            strokeWidth="1.5"
            strokeDasharray="4 3"
            vectorEffect="non-scaling-stroke"
          />
          <path
            d={sizes}
            stroke="var(--accent)"
            strokeWidth="2"
            vectorEffect="non-scaling-stroke"
          />
        </g>
      </svg>
      <div className="flex justify-between text-xs text-muted tabular-nums" aria-hidden="true">
        <span>0</span>
        <span>step {last}</span>
      </div>
      <p className="mt-1 flex flex-wrap gap-x-4 text-xs text-muted" aria-hidden="true">
        <Line color="var(--accent)" text={`${name.toLowerCase()}, 0 to ${most}`} />
        <Line color="var(--second)" dashed text="confidence, 0 to 100 %" />
      </p>
    </div>
  );
}

const Line = ({ color, dashed, text }: { color: string; dashed?: boolean; text: string }) => (
  <span className="flex items-center gap-1.5">
    <svg width="20" height="8" aria-hidden="true">
      <path
        d="M0 4h20"
        stroke={color}
        strokeWidth="2"
        strokeDasharray={dashed ? '4 3' : undefined}
      />
    </svg>
    {text}
  </span>
);
