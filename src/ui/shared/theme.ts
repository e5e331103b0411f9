// Light and dark: the system's choice unless a person made one.
import { preference } from './preference.ts';

export const theme = preference('theme', ['system', 'light', 'dark']);

const media = () => window.matchMedia('(prefers-color-scheme: dark)');

/** The theme that is shown. */
export function shownTheme(): 'light' | 'dark' {
  const choice = theme.get();
  return choice === 'system' ? (media().matches ? 'dark' : 'light') : choice;
}

/** Applies the theme, now and whenever it or the system's changes. */
export function followTheme(): void {
  const apply = () => {
    document.documentElement.dataset.theme = shownTheme();
  };
  apply();
  media().addEventListener('change', apply);
  theme.subscribe(apply);
}
