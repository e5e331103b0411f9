// The first row as tokens, with what carries loss: filled and underlined, not told by colour alone.
import type { PreviewToken } from '../../worker/api.ts';

const visible = (text: string) => text.replaceAll('\n', '↵').replaceAll('\t', '⇥').replaceAll(' ', '·');

/** Tokens with the same mask next to each other, for readers that hear the page. */
function spans(sample: readonly PreviewToken[]): { trained: boolean; text: string }[] {
  const out: { trained: boolean; text: string }[] = [];
  for (const { text, trained } of sample) {
    const last = out.at(-1);
    if (last?.trained === trained) last.text += text;
    else out.push({ trained, text });
  }
  return out;
}

export function SampleTokens({ sample, more }: { sample: readonly PreviewToken[]; more: number }) {
  if (sample.length === 0) return null;
  return (
    <figure>
      <figcaption className="mb-2 flex flex-wrap items-baseline justify-between gap-x-4 gap-y-1">
        <h3 className="font-semibold">First row as tokens</h3>
        <span className="flex gap-3 text-sm text-muted">
          <span>
            <span className="token-trained rounded border-b-2 border-accent bg-accent-soft px-1 font-mono text-ink">trained</span> carries
            loss
          </span>
          <span>
            <span className="rounded border border-dashed border-line-strong px-1 font-mono">masked</span> is only read
          </span>
        </span>
      </figcaption>
      <div aria-hidden="true" className="flex flex-wrap gap-1 rounded-xl bg-sunk p-4 font-mono text-sm" data-testid="sample">
        {sample.map(({ text, trained }, i) => (
          <span
            // biome-ignore lint/suspicious/noArrayIndexKey: tokens have no other name than their place
            key={i}
            data-trained={trained}
            className={
              trained
                ? 'token-trained rounded border-b-2 border-accent bg-accent-soft px-1 text-ink'
                : 'rounded border border-dashed border-line-strong px-1 text-muted'
            }
          >
            {visible(text)}
          </span>
        ))}
        {more > 0 && <span className="px-1 text-muted">… and {more} more</span>}
      </div>
      <p className="sr-only">
        {spans(sample)
          .map(({ trained, text }) => `${trained ? 'Trained' : 'Masked'}: ${text}`)
          .join('. ')}
      </p>
    </figure>
  );
}
