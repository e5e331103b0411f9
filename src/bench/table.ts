// What was measured, as figures, as a table in text and as JSON.
import type { Row } from './cases.ts';
import type { SearchCosts } from './search.ts';

/** A row in figures; null where it has none. */
export interface Figures {
  name: string;
  variant: string | null;
  milliseconds: number;
  gflops: number;
  /** Percentages of the fastest product and of the multiply-add loop, of rows that compute. */
  ofProduct: number | null;
  ofLoop: number | null;
  /** GB/s, where memory is what bounds it. */
  bandwidth: number | null;
  launches: number | null;
  tokensPerSecond: number | null;
}

/** What was measured, on which device. */
export interface Measurements {
  device: string;
  browser?: string;
  kernels: Readonly<Record<string, string>>;
  clock: string;
  rows: readonly Row[];
}

const gflopsOf = ({ flops, milliseconds }: Row): number => flops / milliseconds / 1e6;

/** The fastest row of those whose name begins so; 0 without one. */
const best = (rows: readonly Row[], start: string): number =>
  Math.max(0, ...rows.filter((r) => r.name.startsWith(start)).map(gflopsOf));

/** The figures of rows that were measured together. */
export function figuresOf(rows: readonly Row[]): Figures[] {
  const [product, loop] = [best(rows, 'product/'), best(rows, 'device/multiply-add')];
  return rows.map((row) => {
    const gflops = gflopsOf(row);
    const share = (of: number) => (of > 0 && gflops > 0 ? 100 * (gflops / of) : null);
    return {
      name: row.name,
      variant: row.variant ?? null,
      milliseconds: row.milliseconds,
      gflops,
      ofProduct: share(product),
      ofLoop: share(loop),
      bandwidth: row.bytes ? row.bytes / row.milliseconds / 1e6 : null,
      launches: row.dispatches ?? null,
      tokensPerSecond: row.tokensPerSecond ?? null,
    };
  });
}

/** A figure that some rows lack. */
const cell = (v: number | null, digits: number, width: number): string =>
  (v === null ? '' : v.toFixed(digits)).padStart(width);

const share = (v: number | null): string => (v === null ? '' : `${v.toFixed(0)} %`).padStart(10);

const line = (f: Figures): string =>
  `${f.name.padEnd(40)}${(f.variant ?? '').padEnd(11)}${cell(f.milliseconds, 3, 11)}${cell(f.gflops, 1, 11)}${share(f.ofProduct)}${share(f.ofLoop)}${cell(f.bandwidth, 1, 9)}${cell(f.launches, 0, 12)}${cell(f.tokensPerSecond, 1, 11)}`;

function profileTable({ name, profile }: Row): string {
  const total = profile!.reduce((a, p) => a + p.milliseconds, 0);
  const rows = profile!
    .slice(0, 25)
    .map(
      (p) =>
        `${p.label.padEnd(56)}${String(p.count).padStart(5)}${cell(p.milliseconds, 1, 10)}${cell((100 * p.milliseconds) / total, 1, 7)}${cell(p.flops / p.milliseconds / 1e6, 2, 9)}${cell(p.workgroups, 0, 12)}${cell(p.bytes / 1e6, 1, 9)}   ${p.kernel}`,
    );
  return [
    name,
    `${'by launch'.padEnd(56)}count        ms      %  GFLOP/s  workgroups       MB   kernel`,
    ...rows,
  ].join('\n');
}

/** All of it in text: shares are of the best product and of the multiply-add loop. */
export function measurementsText({ device, browser, clock, rows }: Measurements): string {
  const head = `${'case'.padEnd(40)}${'variant'.padEnd(11)}         ms    GFLOP/s   product      loop     GB/s  dispatches   tokens/s`;
  const table = [`By ${clock}; steps by the wall clock.`, head, ...figuresOf(rows).map(line)].join(
    '\n',
  );
  const profiles = rows.filter((row) => row.profile).map(profileTable);
  const about = browser ? `${device}\n${browser}` : device;
  return `${[about, table, ...profiles].join('\n\n')}\n`;
}

/** All of it as JSON, on one line. */
export function measurementsJson({ rows, ...about }: Measurements): string {
  const cases = rows.map((row) => ({ ...row, gflops: gflopsOf(row) }));
  return `${JSON.stringify({ ...about, cases, bestProduct: best(rows, 'product/') })}\n`;
}

/** What search steps cost, in text. */
export function searchText({ plainMilliseconds, steps }: SearchCosts): string {
  const head =
    'step                            ms   of a plain micro-step   by CPU time   by flops';
  return [
    head,
    `plain micro-step          ${cell(plainMilliseconds, 0, 8)}`,
    ...steps.map(
      (s) =>
        `${s.step.padEnd(26)}${cell(s.milliseconds, 0, 8)}${cell(s.ratio, 2, 24)}${s.cpuRatio === null ? '' : cell(s.cpuRatio, 2, 14)}${cell(s.flopRatio, 2, 11)}`,
    ),
  ].join('\n');
}
