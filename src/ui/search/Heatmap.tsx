// A heatmap of layers × linears as a figure: caption, grid, legend, and the same as a table. With
// neither `selected` nor `onSelect` its cells can be read, but not selected.
import type { ReactNode, Ref } from 'react';
import { CellGrid, type CellGridProps } from './CellGrid.tsx';
import { DataTable, type DataTableProps } from './DataTable.tsx';

export interface HeatmapProps extends CellGridProps {
  title: string;
  /** Beside the title: a control, or a few words. */
  aside?: ReactNode;
  table: Pick<DataTableProps, 'caption' | 'cell'>;
  /** Of the figure. */
  attributes?: { ref?: Ref<HTMLElement>; [data: `data-${string}`]: string | number };
  /** Below the grid: what the selected cell says. */
  detail?: ReactNode;
  /** The legend: keys of Legend.tsx. */
  children: ReactNode;
}

export function Heatmap(props: HeatmapProps) {
  const { title, aside, table, attributes, detail, children, ...grid } = props;
  return (
    <figure {...attributes} className="min-w-0">
      <figcaption className="mb-2 flex min-h-10 flex-wrap items-center justify-between gap-x-4 gap-y-1 text-sm">
        <span className="font-semibold">{title}</span>
        {aside}
      </figcaption>
      <CellGrid {...grid} />
      {detail}
      <div className="mt-1 flex flex-wrap items-center gap-x-4 gap-y-1 text-xs text-muted">
        {children}
      </div>
      <DataTable layout={grid.layout} {...table} />
    </figure>
  );
}
