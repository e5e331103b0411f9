// Draws one cell of each heatmap on a canvas from its look and the palette.

import { levels } from './cell-values.ts';
import { blend, css, inkOn, type Rgb, rampColor } from './color.ts';
import type { Palette } from './palette.ts';

/** What drawing needs of a canvas. */
export type Surface = Pick<
  CanvasRenderingContext2D,
  | 'fillStyle'
  | 'strokeStyle'
  | 'lineWidth'
  | 'font'
  | 'fillRect'
  | 'strokeRect'
  | 'fillText'
  | 'beginPath'
  | 'moveTo'
  | 'lineTo'
  | 'arc'
  | 'fill'
  | 'stroke'
>;

/** A cell's place in CSS pixels. */
export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Draws a cell whose ground is already clear; text is centred on its point. */
export type DrawCell = (on: Surface, box: Box, look: Uint16Array, palette: Palette) => void;

const family = 'Inter, ui-sans-serif, system-ui, sans-serif';
export const textFont = `600 12px ${family}`;
export const marginFont = `11px ${family}`;

const middle = ({ x, y, width, height }: Box): [number, number] => [
  x + width / 2,
  y + height / 2 + 0.5,
];

/** Nothing known yet: sunk, with a faint dash and no number. */
function drawUnknown(on: Surface, box: Box, palette: Palette): void {
  on.fillStyle = palette.sunk;
  on.fillRect(box.x, box.y, box.width, box.height);
  const [x, y] = middle(box);
  on.fillStyle = palette.lineStrong;
  on.fillRect(x - 3, y - 1, 6, 1);
}

/** Closed: an outlined cell with a diagonal and the number 0. */
function drawClosed(on: Surface, box: Box, palette: Palette): void {
  on.strokeStyle = palette.lineStrong;
  on.lineWidth = 1;
  on.strokeRect(box.x + 0.5, box.y + 0.5, box.width - 1, box.height - 1);
  hatch(on, box, palette.line);
  on.fillStyle = palette.ink;
  on.fillText('0', ...middle(box));
}

/** Diagonals from lower left to upper right, inside the box. */
function hatch(on: Surface, { x, y, width, height }: Box, color: string): void {
  on.strokeStyle = color;
  on.lineWidth = 1;
  on.beginPath();
  for (let d = 5; d < width + height; d += 5) {
    on.moveTo(x + Math.max(0, d - height), y + Math.min(d, height));
    on.lineTo(x + Math.min(d, width), y + Math.max(0, d - width));
  }
  on.stroke();
}

/**
 * Fills a cell with a colour (an outline alone in forced colours) and returns the ink to write on
 * it.
 */
function ground(on: Surface, box: Box, color: Rgb, palette: Palette): string {
  if (palette.forced) {
    on.strokeStyle = palette.ink;
    on.lineWidth = 1;
    on.strokeRect(box.x + 0.5, box.y + 0.5, box.width - 1, box.height - 1);
    return palette.ink;
  }
  on.fillStyle = css(color);
  on.fillRect(box.x, box.y, box.width, box.height);
  return css(inkOn(color));
}

/** The fill of a size that is `level` tenths sure: the less sure, the paler. */
export const fillOf = (size: number, max: number, level: number, card: Rgb): Rgb =>
  blend(rampColor(size, max), card, 0.35 + (0.65 * level) / levels);

/**
 * Heatmap A: colour and number = size, paleness and the bar below = how sure, a dot when settled.
 */
export const drawSizes =
  (max: number): DrawCell =>
  (on, box, [known, level, settled], palette) => {
    if (known === 0) return drawUnknown(on, box, palette);
    const size = known - 1;
    if (size === 0) drawClosed(on, box, palette);
    const ink =
      size === 0 ? palette.ink : ground(on, box, fillOf(size, max, level, palette.card), palette);
    const [x, y] = middle(box);
    on.fillStyle = ink;
    if (size > 0) on.fillText(String(size), x, y - 1);
    on.fillRect(box.x + 3, box.y + box.height - 4, ((box.width - 6) * level) / levels, 2);
    if (!settled) return;
    on.beginPath();
    on.arc(box.x + box.width - 5, box.y + 5, 2.2, 0, 2 * Math.PI);
    on.fill();
  };

/** Bars of ranks side by side: open experts solid, closed ones as an outline of the same height. */
function drawBars(
  on: Surface,
  box: Box,
  count: number,
  ranks: Uint16Array,
  maxRank: number,
  palette: Palette,
): void {
  const pitch = box.width / ranks.length;
  const width = Math.max(pitch > 2.5 ? pitch - 1 : pitch, 0.5);
  for (let i = 0; i < ranks.length; i++) {
    if (ranks[i] === 0) continue;
    const height = Math.max(1, (box.height * Math.min(ranks[i], maxRank)) / maxRank);
    on.fillStyle = i < count ? palette.accent : palette.line;
    // In forced colours a closed expert is a thin mark at its height, since there is no paler
    // colour.
    const shown = i >= count && palette.forced ? 1 : height;
    on.fillRect(box.x + i * pitch, box.y + box.height - height, width, shown);
  }
}

const inset = ({ x, y, width, height }: Box, by: number): Box => ({
  x: x + by,
  y: y + by,
  width: width - 2 * by,
  height: height - 2 * by,
});

/** Heatmap B: a bar per expert, its height the rank. */
export const drawRanks =
  (maxRank: number): DrawCell =>
  (on, box, look, palette) => {
    if (look[0] === 0) return drawUnknown(on, box, palette);
    if (!palette.forced) {
      on.fillStyle = palette.sunk;
      on.fillRect(box.x, box.y, box.width, box.height);
    }
    drawBars(on, inset(box, 2), look[0] - 1, look.subarray(1), maxRank, palette);
    if (look[0] === 1) drawClosed(on, box, palette);
  };

/** Heatmap B as colours: the mean rank of the open experts. */
export const drawMeanRank =
  (maxRank: number): DrawCell =>
  (on, box, [known, tenths], palette) => {
    if (known === 0) return drawUnknown(on, box, palette);
    if (known === 1) return drawClosed(on, box, palette);
    on.fillStyle = ground(on, box, rampColor(tenths / 10, maxRank), palette);
    on.fillText((tenths / 10).toFixed(1), ...middle(box));
  };

/**
 * Heatmap C: an expert a slot, its bar the share of kept pairs (the whole height at twice an even
 * share); dead ones hatched over the slot.
 */
export const drawRouting: DrawCell = (on, box, look, palette) => {
  const count = look[0] - 1;
  if (count < 0) return drawUnknown(on, box, palette);
  if (count === 0) return drawClosed(on, box, palette);
  if (!palette.forced) {
    on.fillStyle = palette.sunk;
    on.fillRect(box.x, box.y, box.width, box.height);
  }
  const inner = inset(box, 2);
  const pitch = inner.width / count;
  for (let i = 0; i < count; i++) {
    const dead = look[1 + i] >= 1000;
    const share = (look[1 + i] % 1000) / 100;
    const slot = {
      x: inner.x + i * pitch,
      y: inner.y,
      width: Math.max(pitch - (pitch > 3 ? 1 : 0), 0.5),
      height: inner.height,
    };
    const height = Math.min(1, (share * count) / 2) * inner.height;
    if (dead) hatch(on, slot, palette.warn);
    on.fillStyle = dead ? palette.warn : palette.accent;
    on.fillRect(
      slot.x,
      slot.y + slot.height - Math.max(1, height),
      slot.width,
      Math.max(1, height),
    );
  }
};

/** A padlock in the upper right corner. */
function drawLock(on: Surface, box: Box, palette: Palette): void {
  const x = box.x + box.width - 9;
  const y = box.y + 3;
  on.strokeStyle = palette.ink;
  on.fillStyle = palette.ink;
  on.lineWidth = 1.2;
  on.beginPath();
  on.arc(x + 3, y + 3, 2, Math.PI, 0);
  on.stroke();
  on.fillRect(x, y + 3, 6, 4.5);
}

/** The review's grid: the count above, a bar per expert below, a padlock where locked. */
export const drawAllocation =
  (maxExperts: number, maxRank: number): DrawCell =>
  (on, box, look, palette) => {
    const count = look[0] - 1;
    if (count === 0) drawClosed(on, box, palette);
    else {
      const top = { ...box, height: 20 };
      const ink = ground(on, top, rampColor(count, maxExperts), palette);
      on.fillStyle = ink;
      on.fillText(
        String(count),
        look[1] ? top.x + top.width / 2 - 4 : top.x + top.width / 2,
        top.y + 10.5,
      );
      const bars = { x: box.x + 1, y: box.y + 21, width: box.width - 2, height: box.height - 25 };
      if (!palette.forced) {
        on.fillStyle = palette.sunk;
        on.fillRect(box.x, bars.y - 1, box.width, bars.height + 1);
      }
      drawBars(on, bars, count, look.subarray(2), maxRank, palette);
      if (look[1]) drawLock(on, top, { ...palette, ink });
      return;
    }
    if (look[1]) drawLock(on, box, palette);
  };

/** The review's grid where a site has one rank: its number and colour, a padlock where locked. */
export const drawRankAllocation =
  (maxRank: number): DrawCell =>
  (on, box, [known, locked], palette) => {
    const rank = known - 1;
    let { ink } = palette;
    if (rank === 0) drawClosed(on, box, palette);
    else {
      ink = ground(on, box, rampColor(rank, maxRank), palette);
      on.fillStyle = ink;
      on.fillText(String(rank), ...middle(box));
    }
    if (locked) drawLock(on, box, { ...palette, ink });
  };
