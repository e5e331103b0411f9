// The first rows on their way: as they stand in the file, rendered, and as tokens with what carries
// loss. Never by colour alone.
import { useState } from 'react';
import type { PreviewToken, RowPreview } from '../../worker/protocol/api.ts';
import { Button, Choice } from '../shared/controls.tsx';
import { whole } from '../shared/format.ts';

type View = 'row' | 'rendered' | 'tokens';
const views: readonly { value: View; label: string }[] = [
  { value: 'row', label: 'Row' },
  { value: 'rendered', label: 'Rendered' },
  { value: 'tokens', label: 'Tokens' },
];

const looks: Record<PreviewToken['mask'], string> = {
  trained: 'token-trained rounded border-b-2 border-accent bg-accent-soft px-1 text-ink',
  masked: 'rounded border border-dashed border-line-strong px-1 text-muted',
  truncated: 'rounded px-1 text-muted line-through decoration-2',
};

export function RowPreviews({ rows }: { rows: readonly RowPreview[] }) {
  const [at, setAt] = useState(0);
  const [view, setView] = useState<View>('tokens');
  const row = rows[Math.min(at, rows.length - 1)];
  if (!row) return null;
  return (
    <figure data-testid="previews">
      <figcaption className="mb-3 flex flex-wrap items-end justify-between gap-x-4 gap-y-2">
        <div>
          <h3 className="font-semibold">From row to tokens</h3>
          <p className="hint break-words" aria-live="polite">
            {row.file}, {row.raw === null ? 'piece' : 'line'} {row.line}: {whole(row.length)} tokens
            {row.kept < row.length && `, cut after ${whole(row.kept)}`}
          </p>
        </div>
        <div className="flex flex-wrap items-center gap-2">
          <Button look="small" isDisabled={at === 0} onPress={() => setAt(at - 1)}>
            Previous
          </Button>
          <Button look="small" isDisabled={at >= rows.length - 1} onPress={() => setAt(at + 1)}>
            Next
          </Button>
          <Choice
            label="Show"
            hideLabel
            value={view}
            options={views}
            onChange={(next) => setView(next)}
          />
        </div>
      </figcaption>
      {view === 'tokens' ? (
        <Tokens row={row} />
      ) : (
        <PlainText text={view === 'row' ? (row.raw ?? row.rendered) : row.rendered} view={view} />
      )}
      {view === 'row' && row.choices && <Choices {...row.choices} />}
    </figure>
  );
}

/** The choices of a question; the right one is said in words too. */
function Choices({ texts, correct }: NonNullable<RowPreview['choices']>) {
  return (
    <ol className="mt-3 list-[upper-alpha] pl-8" data-testid="preview-choices">
      {texts.map((text, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: choices have no other name than their place
        <li key={i} className={i === correct ? 'font-semibold' : 'text-muted'}>
          {text}
          {i === correct && (
            <span className="ml-2 rounded bg-accent-soft px-1.5 text-sm">right</span>
          )}
        </li>
      ))}
    </ol>
  );
}

function PlainText({ text, view }: { text: string; view: View }) {
  return (
    <pre
      className="max-h-80 overflow-auto rounded-xl bg-sunk p-4 font-mono text-sm break-words whitespace-pre-wrap"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
      tabIndex={0}
      data-testid={`preview-${view}`}
    >
      {text}
    </pre>
  );
}

function Tokens({ row: { tokens, length } }: { row: RowPreview }) {
  return (
    <>
      <p className="mb-2 flex flex-wrap gap-x-4 gap-y-1 text-sm text-muted">
        <span>
          <span className={`${looks.trained} font-mono`}>trained</span> carries loss
        </span>
        <span>
          <span className={`${looks.masked} font-mono`}>masked</span> carries no loss
        </span>
        <span>
          <span className={`${looks.truncated} font-mono`}>truncated</span> is cut off
        </span>
      </p>
      <section
        className="relative max-h-80 overflow-auto rounded-xl bg-sunk p-4"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard
        tabIndex={0}
        aria-label="Tokens of the row"
      >
        <div
          aria-hidden="true"
          className="flex flex-wrap gap-1 font-mono text-sm"
          data-testid="sample"
        >
          {tokens.map(({ text, mask }, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: tokens have no other name than their place
            <span key={i} data-mask={mask} className={looks[mask]}>
              {visible(text)}
            </span>
          ))}
          {length > tokens.length && (
            <span className="px-1 text-muted">… and {whole(length - tokens.length)} more</span>
          )}
        </div>
        <p className="sr-only">
          {spans(tokens)
            .map(({ mask, text }) => `${names[mask]}: ${text}`)
            .join('. ')}
        </p>
      </section>
    </>
  );
}

const names: Record<PreviewToken['mask'], string> = {
  trained: 'Trained',
  masked: 'Masked',
  truncated: 'Truncated',
};
const visible = (text: string) =>
  text.replaceAll('\n', '↵').replaceAll('\t', '⇥').replaceAll(' ', '·');

/** Tokens with the same mask next to each other, for readers that hear the page. */
function spans(tokens: readonly PreviewToken[]): PreviewToken[] {
  const out: PreviewToken[] = [];
  for (const { text, mask } of tokens) {
    const last = out.at(-1);
    if (last?.mask === mask) last.text += text;
    else out.push({ mask, text });
  }
  return out;
}
