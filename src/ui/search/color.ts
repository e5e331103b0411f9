// Colours of the heatmaps: a discrete ramp that is safe for colour-blind eyes, blending, and ink
// that can be read on it.

/** Red, green, blue from 0 to 255. */
export type Rgb = readonly [number, number, number];

/** Viridis (CC0, Smith and van der Walt), from its dark end to its light one at even distances. */
const stops: readonly Rgb[] = [
  [68, 1, 84],
  [70, 50, 127],
  [54, 92, 141],
  [39, 127, 142],
  [31, 161, 135],
  [74, 194, 109],
  [159, 218, 58],
  [253, 231, 37],
];

/** The colour of a count from 1 to `max`: evenly spaced steps of the ramp. */
export function rampColor(count: number, max: number): Rgb {
  const at =
    max <= 1 ? stops.length - 1 : ((Math.min(count, max) - 1) / (max - 1)) * (stops.length - 1);
  const low = Math.min(Math.floor(at), stops.length - 2);
  return blend(stops[low + 1], stops[low], at - low);
}

/** `over` shows through where `alpha` is below 1. */
export const blend = (color: Rgb, over: Rgb, alpha: number): Rgb => [
  Math.round(color[0] * alpha + over[0] * (1 - alpha)),
  Math.round(color[1] * alpha + over[1] * (1 - alpha)),
  Math.round(color[2] * alpha + over[2] * (1 - alpha)),
];

export const css = ([r, g, b]: Rgb): string => `rgb(${r} ${g} ${b})`;

/** #rrggbb or #rgb as numbers. */
export function parseHex(hex: string): Rgb {
  const digits = hex.trim().slice(1);
  const n = Number.parseInt(digits.length === 3 ? digits.replace(/./g, '$&$&') : digits, 16);
  return [(n >> 16) & 255, (n >> 8) & 255, n & 255];
}

const linear = (v: number) => (v <= 10 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);

/** Relative luminance (WCAG 2). */
export const luminance = ([r, g, b]: Rgb): number =>
  0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);

/** Contrast ratio (WCAG 2). */
export function contrast(a: Rgb, b: Rgb): number {
  const [x, y] = [luminance(a), luminance(b)];
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
}

const black: Rgb = [0, 0, 0];
const white: Rgb = [255, 255, 255];

/** Black or white, whichever reads better on a colour: at least 4.5 : 1 on any. */
export const inkOn = (color: Rgb): Rgb =>
  contrast(black, color) >= contrast(white, color) ? black : white;
