// Keys of the heatmaps' legends.
import type { ReactNode } from 'react';
import { css, inkOn, rampColor } from './color.ts';

export type Mark = 'bar' | 'faint' | 'dead' | 'closed' | 'unknown' | 'settled' | 'sure' | 'lock';

const marks: Record<Mark, ReactNode> = {
  bar: <rect x="5" y="2" width="6" height="12" fill="var(--accent)" />,
  faint: <rect x="5" y="2" width="6" height="12" fill="var(--line)" />,
  dead: <path d="M1 7l6-6M1 13L13 1M4 15L15 4M10 15l5-5" stroke="var(--warn)" />,
  closed: (
    <>
      <rect x="1" y="1" width="14" height="14" fill="none" stroke="var(--line-strong)" />
      <path d="M1 8l7-7M1 15L15 1M8 15l7-7" stroke="var(--line)" />
      <text x="8" y="12" textAnchor="middle" fontSize="11" fill="var(--ink)">
        0
      </text>
    </>
  ),
  unknown: (
    <>
      <rect width="16" height="16" fill="var(--sunk)" />
      <path d="M5 8h6" stroke="var(--line-strong)" />
    </>
  ),
  settled: <circle cx="8" cy="8" r="3" fill="currentColor" />,
  sure: <rect x="1" y="7" width="14" height="2" fill="currentColor" />,
  lock: (
    <path
      d="M4 7h8v7H4zM5.500 7V5a2.500 2.500 0 0 1 5 0v2"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.4"
    />
  ),
};

export const Key = ({ mark, children }: { mark: Mark; children: ReactNode }) => (
  <span className="flex items-center gap-1.5">
    <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true" className="shrink-0">
      {marks[mark]}
    </svg>
    {children}
  </span>
);

/** The ramp's colours with their numbers; only some of them where there are many. */
export function RampKey({ max, label }: { max: number; label: string }) {
  const every = Math.max(1, Math.ceil(max / 8));
  const shown = Array.from({ length: max }, (_, i) => i + 1).filter(
    (n) => n === 1 || n % every === 0 || n === max,
  );
  return (
    <span className="flex items-center gap-1.5">
      <span className="flex overflow-hidden rounded-sm" aria-hidden="true">
        {shown.map((n) => {
          const color = rampColor(n, max);
          return (
            <span
              key={n}
              className="w-5 text-center leading-4 font-semibold forced-colors:border"
              style={{ background: css(color), color: css(inkOn(color)) }}
            >
              {n}
            </span>
          );
        })}
      </span>
      {label}
    </span>
  );
}
