// The theme's colours for canvases, followed as the theme or forced colours change.
import { useSyncExternalStore } from 'react';
import { parseHex, type Rgb } from './color.ts';

/** CSS colours of the theme; `forced`: the system's own colours, without any fill. */
export interface Palette {
  forced: boolean;
  card: Rgb;
  sunk: string;
  ink: string;
  muted: string;
  line: string;
  lineStrong: string;
  accent: string;
  warn: string;
}

function read(): Palette {
  const style = getComputedStyle(document.documentElement);
  const token = (name: string) => style.getPropertyValue(`--${name}`).trim();
  const forced = window.matchMedia('(forced-colors: active)').matches;
  const color = (name: string, system: string) => (forced ? system : token(name));
  return {
    forced,
    card: parseHex(token('card')),
    sunk: color('sunk', 'Canvas'),
    ink: color('ink', 'CanvasText'),
    muted: color('muted', 'CanvasText'),
    line: color('line', 'GrayText'),
    lineStrong: color('line-strong', 'CanvasText'),
    accent: color('accent', 'CanvasText'),
    warn: color('warn', 'CanvasText'),
  };
}

let current: Palette | null = null;

function subscribe(listener: () => void): () => void {
  const changed = () => {
    const next = read();
    if (JSON.stringify(next) !== JSON.stringify(current)) current = next;
    listener();
  };
  changed(); // the theme may have changed while nobody listened
  const theme = new MutationObserver(changed);
  theme.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
  const media = window.matchMedia('(forced-colors: active)');
  media.addEventListener('change', changed);
  return () => {
    theme.disconnect();
    media.removeEventListener('change', changed);
  };
}

/** The colours as they are now. */
export const usePalette = (): Palette =>
  useSyncExternalStore(subscribe, () => {
    current ??= read();
    return current;
  });
