// A section of the page: an anchor, a heading, and a card.
import type { ReactNode } from 'react';

/** What a section's dot in the rail says. */
export type SectionState = 'empty' | 'busy' | 'done';

export function Section({
  id,
  title,
  lead,
  aside,
  children,
}: {
  id: string;
  title: string;
  lead?: ReactNode;
  aside?: ReactNode;
  children: ReactNode;
}) {
  return (
    <section id={id} aria-labelledby={`${id}-title`} className="card">
      <div className="mb-5 flex flex-wrap items-start justify-between gap-x-6 gap-y-3">
        <div className="min-w-0 max-w-prose">
          <h2 id={`${id}-title`} className="text-xl font-semibold tracking-tight">
            {title}
          </h2>
          {lead && <p className="mt-1 text-muted">{lead}</p>}
        </div>
        {aside}
      </div>
      {children}
    </section>
  );
}

/** A named figure. */
export function Stat({
  label,
  value,
  note,
  tone,
}: {
  label: string;
  value: ReactNode;
  note?: ReactNode;
  tone?: 'warn';
}) {
  return (
    <div className="min-w-0 rounded-xl bg-sunk px-4 py-3">
      <dt className="text-sm text-muted">{label}</dt>
      <dd
        className={`truncate text-lg font-semibold tabular-nums ${tone === 'warn' ? 'text-warn' : ''}`}
      >
        {value}
      </dd>
      {note && <dd className="text-sm text-muted">{note}</dd>}
    </div>
  );
}

export const Stats = ({ children }: { children: ReactNode }) => (
  <dl className="grid grid-cols-2 gap-3 sm:grid-cols-3 lg:grid-cols-4">{children}</dl>
);

/** A line that says what is missing, with a link to it. */
export function Missing({ children }: { children: ReactNode }) {
  return (
    <p className="rounded-xl border border-dashed border-line-strong px-4 py-6 text-center text-muted">
      {children}
    </p>
  );
}
