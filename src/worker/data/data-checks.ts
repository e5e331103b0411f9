// What a person should know of a dataset before training on it: endings, duplicates, overlap,
// lengths; and rows as tokens with their masks.

import type { Split } from '../../data/batching/split.ts';
import type { Dataset, RowPreview as FoundRow } from '../../data/dataset/dataset.ts';
import { type Example, IGNORE } from '../../data/dataset/example.ts';
import type { Tokenizer } from '../../data/text/tokenizer.ts';
import type { DataChecks, RowPreview, SplitReport } from '../protocol/api.ts';

/** Bars of the histogram of lengths at most. */
const bars = 12;

/**
 * A number of 53 bits that stands for a row's tokens: rows with the same tokens have the same one,
 * others hardly ever.
 */
export function fingerprint({ ids }: Pick<Example, 'ids'>): number {
  let high = 0x9e3779b9 ^ ids.length;
  let low = 0x85ebca6b;
  for (const id of ids) {
    high = Math.imul(high ^ id, 0x01000193);
    high ^= high >>> 15;
    low = Math.imul(low ^ (id + 0x7f4a7c15), 0xc2b2ae35);
    low ^= low >>> 13;
  }
  return (high >>> 11) * 2 ** 32 + (low >>> 0);
}

/** What is known of the rows of a dataset. @param prints of its examples */
export function dataChecks(
  { examples, bad }: Dataset,
  prints: Float64Array,
  tokenizer: Tokenizer | null,
): DataChecks {
  return {
    ends: tokenizer && endings(examples, tokenizer),
    empty: bad.filter(({ kind }) => kind === 'empty').length,
    duplicates: prints.length - new Set(prints).size,
    lengths: histogram(examples.map((e) => e.ids.length)),
  };
}

function endings(examples: readonly Example[], { endOfTurnIds, eosId }: Tokenizer): number {
  const ends = new Set(eosId === null ? endOfTurnIds : [...endOfTurnIds, eosId]);
  return examples.filter(({ labels }) => labels.some((label, t) => t > 0 && ends.has(label)))
    .length;
}

/** Bins of one round width, from the shortest row's to the longest row's. */
function histogram(lengths: readonly number[]): DataChecks['lengths'] {
  const longest = lengths.reduce((a, b) => Math.max(a, b), 1);
  const width = roundUp(Math.ceil(longest / bars));
  const rows = new Array<number>(Math.ceil(longest / width)).fill(0);
  for (const length of lengths) rows[Math.ceil(length / width) - 1]++;
  const first = rows.findIndex((n) => n > 0);
  return rows.map((n, i) => ({ upTo: (i + 1) * width, rows: n })).slice(first);
}

/** The next of 1, 2, 5, 10, 20, 50, … */
function roundUp(n: number): number {
  const ten = 10 ** Math.floor(Math.log10(n));
  return [1, 2, 5, 10].map((k) => k * ten).find((size) => size >= n)!;
}

/** What a split comes to. @param lengths of the rows in tokens */
export function splitReport(
  prints: Float64Array,
  lengths: readonly number[],
  { train, validation }: Split,
): SplitReport {
  const trained = new Set(Array.from(train, (i) => prints[i]));
  return {
    train: train.length,
    validation: validation.length,
    overlap: validation.filter((i) => trained.has(prints[i])).length,
    tokens: train.reduce((sum, i) => sum + lengths[i], 0),
  };
}

/**
 * A row as the page shows it, with at most `shown` tokens. Where no text was rendered, it is what
 * the tokens spell.
 */
export function preview(
  { file, line, raw, choices, text, ids, example }: FoundRow,
  tokenizer: Tokenizer | null,
  shown: number,
): RowPreview {
  const { labels } = example;
  return {
    file,
    line,
    raw,
    choices,
    rendered: text ?? tokenizer?.decode(ids.slice(0, shown)) ?? ids.slice(0, shown).join(' '),
    tokens: ids.slice(0, shown).map((id, t) => ({
      text: tokenizer?.tokenText(id) ?? String(id),
      mask: t >= labels.length ? 'truncated' : t > 0 && labels[t] !== IGNORE ? 'trained' : 'masked',
    })),
    length: ids.length,
    kept: labels.length,
  };
}
