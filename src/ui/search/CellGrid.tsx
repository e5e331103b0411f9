// A heatmap of layers × linears: a canvas for eyes, over it an ARIA grid with roving focus whose
// labels are written outside React.
import {
  type FocusEvent,
  type KeyboardEvent,
  type MouseEvent,
  memo,
  useCallback,
  useRef,
  useState,
} from 'react';
import type { CellSource } from './cell-values.ts';
import { type CellLayout, moved, shortName, startsMlp } from './grid.ts';
import type { DrawCell } from './paint.ts';
import {
  blockGap,
  labelWidth,
  meanHeight,
  meanWidth,
  sizesFor,
  usePainted,
  useWidth,
} from './useCanvas.ts';
import { useLabels } from './useLabels.ts';

export interface CellGridProps {
  /** Accessible name. */
  label: string;
  layout: CellLayout;
  /** Stable between renders, as `draw` is: another one paints everything again. */
  source: CellSource;
  draw: DrawCell;
  cellHeight: number;
  /** A site, or null. */
  selected?: number | null;
  /** Without it cells cannot be selected. */
  onSelect?(site: number): void;
}

export function CellGrid(props: CellGridProps) {
  const { label, layout, source, draw, cellHeight, selected = null, onSelect } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const available = useWidth(scroller);
  const means = source.margins !== undefined;
  const sizes = sizesFor(layout, available, cellHeight, means);
  usePainted(canvas, layout, sizes, source, draw);
  useLabels(scroller, layout, source);

  const latest = useRef({ layout, onSelect, source });
  latest.current = { layout, onSelect, source };
  const [focused, setFocused] = useState(0);
  const choose = useCallback((cell: number) => {
    setFocused(cell);
    const site = latest.current.layout.site[cell];
    if (site >= 0) latest.current.onSelect?.(site);
  }, []);
  const selectedCell = selected === null ? -1 : layout.cell[selected];
  const current = selectedCell >= 0 ? selectedCell : Math.min(focused, layout.site.length - 1);
  return (
    <div ref={scroller} className="overflow-x-auto overscroll-x-contain pb-1">
      <div className="relative" style={{ width: labelWidth + sizes.width }}>
        <div
          aria-hidden="true"
          className="pointer-events-none absolute top-6"
          style={{ left: labelWidth }}
        >
          <canvas ref={canvas} style={{ width: sizes.width, height: sizes.height }} />
        </div>
        <Cells
          label={label}
          layout={layout}
          cellWidth={sizes.cellWidth}
          cellHeight={cellHeight}
          means={means}
          current={current}
          selected={onSelect ? selectedCell : null}
          onChoose={choose}
          latest={latest}
        />
        {means && (
          <div
            aria-hidden="true"
            className={rowLabel}
            style={{ width: labelWidth, height: meanHeight }}
          >
            mean
          </div>
        )}
      </div>
    </div>
  );
}

interface CellsProps {
  label: string;
  layout: CellLayout;
  cellWidth: number;
  cellHeight: number;
  means: boolean;
  /** The cell that Tab leads to. */
  current: number;
  /** The one that is selected (−1: none); null where none can be. */
  selected: number | null;
  onChoose(cell: number): void;
  latest: { readonly current: { source: CellSource } };
}

const rowLabel =
  'sticky left-0 z-10 flex shrink-0 items-center bg-card pr-2 text-xs font-normal text-muted';
const cellLook =
  'shrink-0 rounded-sm hover:outline hover:outline-1 hover:-outline-offset-1 hover:outline-ink aria-selected:outline-2 aria-selected:-outline-offset-1 aria-selected:outline-ink focus-visible:z-5 focus-visible:outline-3 focus-visible:-outline-offset-2 focus-visible:outline-accent';

/** The grid itself: rendered again when selection or size change, not when values do. */
const Cells = memo(function Cells({
  label,
  layout,
  cellWidth,
  cellHeight,
  means,
  current,
  selected,
  onChoose,
  latest,
}: CellsProps) {
  const cellOf = (target: EventTarget) =>
    target instanceof HTMLElement && target.dataset.cell ? Number(target.dataset.cell) : null;
  const onKeyDown = (e: KeyboardEvent<HTMLElement>) => {
    const from = cellOf(e.target);
    const to =
      from === null || e.altKey || e.metaKey ? null : moved(layout, from, e.key, e.ctrlKey);
    if (to === null) return;
    e.preventDefault();
    e.currentTarget.querySelector<HTMLElement>(`[data-cell="${to}"]`)?.focus();
  };
  const onFocus = (e: FocusEvent<HTMLElement>) => {
    const cell = cellOf(e.target);
    if (cell === null) return;
    const site = layout.site[cell];
    if (site >= 0) e.target.setAttribute('aria-label', latest.current.source.label(site));
    onChoose(cell);
  };
  const onClick = (e: MouseEvent<HTMLElement>) => {
    const cell = cellOf(e.target);
    if (cell !== null) (e.target as HTMLElement).focus();
  };
  const columns = layout.columns.length;
  const width = { width: cellWidth };
  return (
    <table
      // biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: the ARIA grid pattern on a table
      role="grid"
      aria-label={label}
      aria-readonly="true"
      className="block"
      onKeyDown={onKeyDown}
      onFocus={onFocus}
      onClick={onClick}
    >
      <thead className="block">
        <tr className="flex h-6 text-xs text-muted tabular-nums">
          <th scope="col" className={rowLabel} style={{ width: labelWidth }}>
            layer
          </th>
          {layout.columns.map((layer) => (
            <th
              key={layer}
              scope="col"
              className="shrink-0 content-center text-center font-normal"
              style={width}
            >
              {layer}
            </th>
          ))}
          {means && (
            <td
              aria-hidden="true"
              className="shrink-0 content-center text-center"
              style={{ width: meanWidth }}
            >
              mean
            </td>
          )}
        </tr>
      </thead>
      <tbody className="block">
        {layout.rows.map((target, row) => (
          <tr
            key={target}
            className="flex"
            style={{ height: cellHeight, marginTop: startsMlp(layout.rows, row) ? blockGap : 0 }}
          >
            <th scope="row" className={rowLabel} style={{ width: labelWidth }}>
              {shortName(target)}
            </th>
            {layout.columns.map((layer, column) => {
              const cell = row * columns + column;
              return (
                <td
                  key={layer}
                  // biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: as above
                  role="gridcell"
                  data-cell={cell}
                  data-site={layout.site[cell] >= 0 ? layout.site[cell] : undefined}
                  tabIndex={cell === current ? 0 : -1}
                  aria-selected={selected === null ? undefined : cell === selected}
                  className={selected === null ? cellLook : `cursor-pointer ${cellLook}`}
                  style={width}
                />
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
});
