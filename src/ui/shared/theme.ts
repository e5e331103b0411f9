// Light and dark: the system's choice unless a person made one, kept on this device.
export type ThemeChoice = 'system' | 'light' | 'dark';

const key = 'theme';
const media = () => window.matchMedia('(prefers-color-scheme: dark)');

/** The choice that was made, or 'system'. */
export function themeChoice(): ThemeChoice {
  try {
    const saved = localStorage.getItem(key);
    return saved === 'light' || saved === 'dark' ? saved : 'system';
  } catch {
    return 'system'; // storage may be forbidden
  }
}

function apply(): void {
  const choice = themeChoice();
  document.documentElement.dataset.theme =
    choice === 'system' ? (media().matches ? 'dark' : 'light') : choice;
}

/** Applies the theme now and whenever the system's changes. */
export function followTheme(): void {
  apply();
  media().addEventListener('change', apply);
}

/** Makes a choice. */
export function chooseTheme(choice: ThemeChoice): void {
  try {
    if (choice === 'system') localStorage.removeItem(key);
    else localStorage.setItem(key, choice);
  } catch {
    document.documentElement.dataset.theme =
      choice === 'system' ? (media().matches ? 'dark' : 'light') : choice;
    return;
  }
  apply();
}
