// Paints a heatmap's cells and margins on a canvas, only where something changed.
import { type RefObject, useEffect, useLayoutEffect, useRef, useState } from 'react';
import { type CellLayout, type Margins, startsMlp } from './grid.ts';
import { changedSites, type Looks } from './looks.ts';
import { type Box, type DrawCell, marginFont, textFont } from './paint.ts';
import { usePalette } from './palette.ts';

/** Sizes of a heatmap in CSS pixels. */
export interface Sizes {
  cellWidth: number;
  cellHeight: number;
  width: number;
  height: number;
}

/** Room for row labels on the left, of row means on the right, of column means below, and between attention and MLP. */
export const labelWidth = 48;
export const meanWidth = 38;
export const meanHeight = 24;
export const blockGap = 6;

/** Sizes for `available` pixels: cells between 24 and 56 wide. `means`: room for margins. */
export function sizesFor(layout: CellLayout, available: number, cellHeight: number, means: boolean): Sizes {
  const columns = Math.max(1, layout.columns.length);
  const side = means ? meanWidth : 0;
  const cellWidth = Math.max(24, Math.min(56, Math.floor((available - labelWidth - side) / columns)));
  return {
    cellWidth,
    cellHeight,
    width: columns * cellWidth + side,
    height: rowTop(layout, layout.rows.length, cellHeight) + (means ? meanHeight : 0),
  };
}

/** Where a row begins. */
export const rowTop = (layout: CellLayout, row: number, cellHeight: number): number =>
  row * cellHeight + (layout.rows.some((_, i) => i <= row && startsMlp(layout.rows, i)) ? blockGap : 0);

/** The painted part of a cell: a pixel is left free on every side. */
export function cellBox(layout: CellLayout, cell: number, { cellWidth, cellHeight }: Sizes): Box {
  const columns = layout.columns.length;
  const y = rowTop(layout, Math.floor(cell / columns), cellHeight);
  return { x: (cell % columns) * cellWidth + 1, y: y + 1, width: cellWidth - 2, height: cellHeight - 2 };
}

const marginText = (mean: number): string => (Number.isNaN(mean) ? '–' : mean.toFixed(1));

/** Texts of the margins with their centres: rows on the right, then columns below. */
export function marginTexts(layout: CellLayout, margins: Margins, sizes: Sizes): { text: string; x: number; y: number }[] {
  const { cellWidth, cellHeight } = sizes;
  const right = layout.columns.length * cellWidth + meanWidth / 2;
  const below = rowTop(layout, layout.rows.length, cellHeight) + meanHeight / 2;
  return [
    ...Array.from(margins.rows, (mean, row) => ({ text: marginText(mean), x: right, y: rowTop(layout, row, cellHeight) + cellHeight / 2 })),
    ...Array.from(margins.columns, (mean, column) => ({ text: marginText(mean), x: (column + 0.5) * cellWidth, y: below })),
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

/** Keeps a canvas in step with looks and margins. */
export function usePainted(
  canvas: RefObject<HTMLCanvasElement | null>,
  layout: CellLayout,
  sizes: Sizes,
  looks: Looks,
  draw: DrawCell,
  margins: Margins | undefined,
): void {
  const palette = usePalette();
  const ratio = usePixelRatio();
  const painted = useRef<{ all: readonly unknown[]; looks: Looks; texts: string[] } | null>(null);
  useLayoutEffect(() => {
    // Kept in main memory: neither waits for a GPU that is busy with training nor takes time from it.
    const on = canvas.current?.getContext('2d', { willReadFrequently: true });
    if (!on || !canvas.current || sizes.width <= 0) return;
    const all = [palette, ratio, layout, draw, sizes.width, sizes.height, sizes.cellWidth, canvas.current];
    let before = painted.current;
    if (!before || before.all.some((v, i) => v !== all[i])) {
      before = null;
      canvas.current.width = Math.round(sizes.width * ratio); // also clears it
      canvas.current.height = Math.round(sizes.height * ratio);
      on.setTransform(ratio, 0, 0, ratio, 0, 0);
      on.textAlign = 'center';
      on.textBaseline = 'middle';
    }
    on.font = textFont;
    for (const site of changedSites(before?.looks ?? null, looks)) {
      const box = cellBox(layout, layout.cell[site], sizes);
      on.clearRect(box.x - 1, box.y - 1, box.width + 2, box.height + 2);
      draw(on, box, looks.values.subarray(site * looks.width, (site + 1) * looks.width), palette);
    }
    const texts = margins ? marginTexts(layout, margins, sizes) : [];
    on.fillStyle = palette.muted;
    on.font = marginFont;
    texts.forEach(({ text, x, y }, i) => {
      if (before?.texts[i] === text) return;
      const width = Math.min(sizes.cellWidth, meanWidth);
      on.clearRect(x - width / 2, y - 10, width, 20);
      on.fillText(text, x, y);
    });
    painted.current = { all, looks, texts: texts.map((t) => t.text) };
  });
}
