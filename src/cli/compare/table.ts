// The table of a comparison: means, spreads and paired differences by method, as data and as
// Markdown.
import type { Result } from './results.ts';
import { type Difference, meanDifference, type Spread, spread } from './statistics.ts';

/** Where a chosen learning rate stands in the grid, when it is at an end of it. */
export type Edge = 'lowest' | 'highest' | null;

/** The final runs of a method at its chosen learning rate. */
export interface MethodResults {
  name: string;
  learningRate: number;
  edge: Edge;
  results: readonly Result[];
}

/** A row of the table. */
export interface TableRow {
  name: string;
  n: number;
  learningRate: number;
  edge: Edge;
  parameters: { least: number; most: number };
  /** null where held-out rows have no answers. */
  exactMatch: Spread | null;
  loss: Spread;
  /** Minus the baseline, by seed; null for the baseline itself and without seeds in common. */
  difference: { exactMatch: Difference | null; loss: Difference } | null;
}

/** What a method's searches found. */
export interface FoundRow {
  name: string;
  /** Searches, one a seed. */
  n: number;
  /**
   * Spearman's correlation of total rank per site, mean over pairs of seeds; null where there is
   * none.
   */
  agreement: number | null;
  /**
   * Of the allocations before they are scaled to the comparison's number, and as expected from the
   * GSVs.
   */
  parameters: Spread;
  expectedParameters: Spread | null;
  /** Sites without experts. */
  closed: Spread;
  seconds: Spread;
}

/** A whole comparison. */
export interface Table {
  baseline: string;
  methods: TableRow[];
  found: FoundRow[];
}

const known = (values: readonly (number | null)[]): number[] => values.filter((v) => v !== null);

/** The rows of the table, in the order of the methods; those without a final run are left out. */
export function tableRows(methods: readonly MethodResults[], baseline: string): TableRow[] {
  const base = methods.find((m) => m.name === baseline)?.results ?? [];
  return methods
    .filter((m) => m.results.length > 0)
    .map(({ name, learningRate, edge, results }) => {
      const parameters = results.map((r) => r.parameters);
      const matches = known(results.map((r) => r.exactMatch));
      const paired = (key: 'exactMatch' | 'loss') =>
        known(
          results.map((r) => {
            const [mine, theirs] = [r[key], base.find((b) => b.seed === r.seed)?.[key]];
            return mine === null || theirs === null || theirs === undefined ? null : mine - theirs;
          }),
        );
      const differences = { exactMatch: paired('exactMatch'), loss: paired('loss') };
      return {
        name,
        n: results.length,
        learningRate,
        edge,
        parameters: { least: Math.min(...parameters), most: Math.max(...parameters) },
        exactMatch: matches.length > 0 ? spread(matches) : null,
        loss: spread(known(results.map((r) => r.loss))),
        difference:
          name === baseline || differences.loss.length === 0
            ? null
            : {
                exactMatch:
                  differences.exactMatch.length > 0 ? meanDifference(differences.exactMatch) : null,
                loss: meanDifference(differences.loss),
              },
      };
    });
}

const signed = (v: number, digits: number): string => {
  const text = Math.abs(v).toFixed(digits);
  return Number(text) === 0 ? text : `${v < 0 ? '−' : '+'}${text}`;
};

const spreadText = (s: Spread | null): string =>
  s === null ? '–' : `${s.mean.toFixed(3)}${s.sd === null ? '' : ` ± ${s.sd.toFixed(3)}`}`;

function differenceText(d: Difference | null | undefined): string {
  if (!d) return '–';
  if (d.halfWidth === null) return signed(d.mean, 3);
  return `${signed(d.mean, 3)} (${signed(d.mean - d.halfWidth, 3)} … ${signed(d.mean + d.halfWidth, 3)})`;
}

const whole = (n: number): string => Math.round(n).toLocaleString('en-US');
const wholeSpread = (s: Spread): string =>
  `${whole(s.mean)}${s.sd === null ? '' : ` ± ${whole(s.sd)}`}`;

/** Rows of cells as a Markdown table; all columns but the first are set to the right. */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const width = head.map((h, i) => Math.max(3, h.length, ...rows.map((r) => r[i].length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((c, i) => (i === 0 ? c.padEnd(width[i]) : c.padStart(width[i]))).join(' | ')} |`;
  const rule = `| ${width.map((w, i) => (i === 0 ? '-'.repeat(w) : `${'-'.repeat(w - 1)}:`)).join(' | ')} |`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

/** The tables with what has to be said about them. */
export function tableMarkdown({ baseline, methods, found }: Table): string {
  const minus = `minus ${baseline} (95 %)`;
  const parts = [
    markdownTable(
      ['method', 'n', 'learning rate', 'parameters', 'exact match', minus, 'loss', minus],
      methods.map((r) => [
        r.name,
        String(r.n),
        `${r.learningRate}${r.edge ? ' \\*' : ''}`,
        r.parameters.least === r.parameters.most
          ? whole(r.parameters.least)
          : `${whole(r.parameters.least)}–${whole(r.parameters.most)}`,
        spreadText(r.exactMatch),
        differenceText(r.difference?.exactMatch),
        spreadText(r.loss),
        differenceText(r.difference?.loss),
      ]),
    ),
    "Held-out rows; mean ± standard deviation over n seeds; differences are paired by seed, with the 95 %\ninterval of Student's t.",
  ];
  if (methods.some((r) => r.edge))
    parts.push('\\* at the end of the grid of learning rates: a rate beyond it may be better.');
  if (found.length > 0) {
    parts.push(
      markdownTable(
        ['search', 'n', 'agreement', 'parameters found', 'expected', 'closed sites', 'seconds'],
        found.map((f) => [
          f.name,
          String(f.n),
          f.agreement === null ? '–' : signed(f.agreement, 2),
          wholeSpread(f.parameters),
          f.expectedParameters ? wholeSpread(f.expectedParameters) : '–',
          wholeSpread(f.closed),
          wholeSpread(f.seconds),
        ]),
      ),
      "Agreement: Spearman's rank correlation of total rank per site, mean over pairs of seeds. Parameters\nare those before scaling.",
    );
  }
  return parts.join('\n\n');
}
