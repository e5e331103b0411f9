// Paints a heatmap's cells and margins on a canvas, only where something changed.
import { type RefObject, useEffect, useLayoutEffect, useState } from 'react';
import { type CellSource, changedSites, type Looks } from './cell-values.ts';
import { type CellLayout, type Margins, startsMlp } from './grid.ts';
import { type Box, type DrawCell, marginFont, textFont } from './paint.ts';
import { usePalette } from './palette.ts';

/** Sizes of a heatmap in CSS pixels. */
export interface Sizes {
  cellWidth: number;
  cellHeight: number;
  width: number;
  height: number;
}

/**
 * Room for row labels on the left, of row means on the right, of column means below, and between
 * attention and MLP.
 */
export const labelWidth = 48;
export const meanWidth = 38;
export const meanHeight = 24;
export const blockGap = 6;

/** Sizes for `available` pixels: cells between 24 and 56 wide. `means`: room for margins. */
export function sizesFor(
  layout: CellLayout,
  available: number,
  cellHeight: number,
  means: boolean,
): Sizes {
  const columns = Math.max(1, layout.columns.length);
  const side = means ? meanWidth : 0;
  const cellWidth = Math.max(
    24,
    Math.min(56, Math.floor((available - labelWidth - side) / columns)),
  );
  return {
    cellWidth,
    cellHeight,
    width: columns * cellWidth + side,
    height: rowTop(layout, layout.rows.length, cellHeight) + (means ? meanHeight : 0),
  };
}

/** Where a row begins. */
export const rowTop = (layout: CellLayout, row: number, cellHeight: number): number =>
  row * cellHeight +
  (layout.rows.some((_, i) => i <= row && startsMlp(layout.rows, i)) ? blockGap : 0);

/** The painted part of a cell: a pixel is left free on every side. */
export function cellBox(layout: CellLayout, cell: number, { cellWidth, cellHeight }: Sizes): Box {
  const columns = layout.columns.length;
  const y = rowTop(layout, Math.floor(cell / columns), cellHeight);
  return {
    x: (cell % columns) * cellWidth + 1,
    y: y + 1,
    width: cellWidth - 2,
    height: cellHeight - 2,
  };
}

const marginText = (mean: number): string => (Number.isNaN(mean) ? '–' : mean.toFixed(1));

/** Texts of the margins with their centres: rows on the right, then columns below. */
export function marginTexts(
  layout: CellLayout,
  margins: Margins,
  sizes: Sizes,
): { text: string; x: number; y: number }[] {
  const { cellWidth, cellHeight } = sizes;
  const right = layout.columns.length * cellWidth + meanWidth / 2;
  const below = rowTop(layout, layout.rows.length, cellHeight) + meanHeight / 2;
  return [
    ...Array.from(margins.rows, (mean, row) => ({
      text: marginText(mean),
      x: right,
      y: rowTop(layout, row, cellHeight) + cellHeight / 2,
    })),
    ...Array.from(margins.columns, (mean, column) => ({
      text: marginText(mean),
      x: (column + 0.5) * cellWidth,
      y: below,
    })),
  ];
}

/** The width that an element has. */
export function useWidth(element: RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const target = element.current!;
    const measure = () => setWidth(target.clientWidth);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(target);
    return () => observer.disconnect();
  }, [element]);
  return width;
}

/** Pixels of the screen a CSS pixel; follows zoom. */
function usePixelRatio(): number {
  const [ratio, setRatio] = useState(() => window.devicePixelRatio || 1);
  useEffect(() => {
    const media = window.matchMedia(`(resolution: ${ratio}dppx)`);
    const changed = () => setRatio(window.devicePixelRatio || 1);
    media.addEventListener('change', changed);
    return () => media.removeEventListener('change', changed);
  }, [ratio]);
  return ratio;
}

/** Keeps a canvas in step with a source. */
export function usePainted(
  canvas: RefObject<HTMLCanvasElement | null>,
  layout: CellLayout,
  sizes: Sizes,
  source: CellSource,
  draw: DrawCell,
): void {
  const palette = usePalette();
  const ratio = usePixelRatio();
  const { cellWidth, cellHeight, width, height } = sizes;
  useLayoutEffect(() => {
    const target = canvas.current;
    // Out of step with the page's own frames, which then need not be put together again at every
    // update.
    const on = target?.getContext('2d', { desynchronized: true });
    if (!on || width <= 0) return;
    target!.width = Math.round(width * ratio);
    target!.height = Math.round(height * ratio);
    on.setTransform(ratio, 0, 0, ratio, 0, 0);
    on.textAlign = 'center';
    on.textBaseline = 'middle';
    const places = { cellWidth, cellHeight, width, height };
    const half = Math.min(cellWidth, meanWidth) / 2;
    let painted: Looks | null = null;
    let written: string[] = [];
    const paint = () => {
      const looks = source.looks();
      on.font = textFont;
      for (const site of changedSites(painted, looks)) {
        const box = cellBox(layout, layout.cell[site], places);
        on.clearRect(box.x - 1, box.y - 1, box.width + 2, box.height + 2);
        draw(on, box, looks.values.subarray(site * looks.width, (site + 1) * looks.width), palette);
      }
      painted = looks;
      const margins = source.margins?.();
      if (!margins) return;
      const texts = marginTexts(layout, margins, places);
      on.fillStyle = palette.muted;
      on.font = marginFont;
      texts.forEach(({ text, x, y }, i) => {
        if (written[i] === text) return;
        on.clearRect(x - half, y - 10, 2 * half, 20);
        on.fillText(text, x, y);
      });
      written = texts.map((t) => t.text);
    };
    paint();
    return source.subscribe(paint);
  }, [canvas, layout, cellWidth, cellHeight, width, height, source, draw, palette, ratio]);
}
