// Where sites lie in a heatmap: layers as columns, linears as rows; moves between cells and means
// along both.
import { type Target, targetNames } from '../../allocation/allocation.ts';

/**
 * Cells row by row; `site` is −1 where a layer lacks the linear, `cell` is the place of each site.
 */
export interface CellLayout {
  rows: Target[];
  columns: number[];
  site: Int32Array;
  cell: Int32Array;
}

/** Short names of the linears, as row labels. */
export const shortName = (target: Target): string => target.replace('_proj', '');

/** True where a row begins the MLP's linears. */
export const startsMlp = (rows: readonly Target[], row: number): boolean =>
  row > 0 && isMlp(rows[row]) && !isMlp(rows[row - 1]);

const isMlp = (target: Target): boolean =>
  targetNames.indexOf(target) >= targetNames.indexOf('gate_proj');

/** Layer of a module path such as model.layers.12.self_attn.q_proj. */
export const layerOf = (path: string): number => Number(/\.layers\.(\d+)\./.exec(path)?.[1] ?? 0);

/** Lays sites out. */
export function cellLayout(sites: readonly { layer: number; target: Target }[]): CellLayout {
  const rows = targetNames.filter((t) => sites.some((s) => s.target === t));
  const columns = [...new Set(sites.map((s) => s.layer))].sort((a, b) => a - b);
  const site = new Int32Array(rows.length * columns.length).fill(-1);
  const cell = Int32Array.from(
    sites,
    (s) => rows.indexOf(s.target) * columns.length + columns.indexOf(s.layer),
  );
  cell.forEach((c, s) => {
    site[c] = s;
  });
  return { rows, columns, site, cell };
}

/**
 * The cell that a key leads to from another, or null where the key is none of the grid's. Edges
 * stop.
 */
export function moved(
  layout: CellLayout,
  cell: number,
  key: string,
  control: boolean,
): number | null {
  const width = layout.columns.length;
  const row = Math.floor(cell / width);
  const column = cell % width;
  const last = layout.rows.length - 1;
  switch (key) {
    case 'ArrowLeft':
      return column > 0 ? cell - 1 : cell;
    case 'ArrowRight':
      return column < width - 1 ? cell + 1 : cell;
    case 'ArrowUp':
      return row > 0 ? cell - width : cell;
    case 'ArrowDown':
      return row < last ? cell + width : cell;
    case 'Home':
      return control ? 0 : row * width;
    case 'End':
      return control ? layout.site.length - 1 : row * width + width - 1;
    default:
      return null;
  }
}

/** Means of rows and columns; NaN where there is nothing to average. */
export interface Margins {
  rows: Float64Array;
  columns: Float64Array;
}

/** Weighted means of a value along rows and columns: Σ value / Σ weight over their sites. */
export function margins(
  layout: CellLayout,
  value: (site: number) => number,
  weight: (site: number) => number,
): Margins {
  const width = layout.columns.length;
  const rows = new Float64Array(layout.rows.length);
  const columns = new Float64Array(width);
  const rowWeight = new Float64Array(rows.length);
  const columnWeight = new Float64Array(width);
  layout.site.forEach((site, cell) => {
    if (site < 0) return;
    const row = Math.floor(cell / width);
    const column = cell % width;
    const [v, w] = [value(site), weight(site)];
    rows[row] += v;
    columns[column] += v;
    rowWeight[row] += w;
    columnWeight[column] += w;
  });
  return {
    rows: rows.map((sum, i) => sum / rowWeight[i]),
    columns: columns.map((sum, i) => sum / columnWeight[i]),
  };
}
