// Keyboard shortcuts as text: keys joined by "+", such as "Mod+Shift+Z", "Space" or "[". Mod is
// Ctrl, and ⌘ on Apple's systems. A sign stands for itself, however a keyboard types it.
import { preference } from './preference.ts';

const isApple = (): boolean => /^(Mac|iP)/.test(navigator.platform);
const isSign = (key: string): boolean => /^[^\p{L}\p{N}]$/u.test(key);

/** Whether shortcuts of one key are on: those who dictate set them off by chance (WCAG 2.1.4). */
export const singleKeys = preference('single-keys', ['on', 'off']);
export const isSingleKey = (shortcut: string): boolean => !/Mod|Alt/.test(shortcut);

/** Whether this key press is that shortcut. */
export function matches(shortcut: string, e: KeyboardEvent): boolean {
  const modifiers = shortcut.split('+');
  const key = modifiers.pop()!;
  // AltGr, which some keyboards need for brackets, reports Control and Alt too.
  const typed = e.ctrlKey && e.altKey && e.getModifierState('AltGraph');
  const [mod, other] = isApple() ? [e.metaKey, e.ctrlKey] : [e.ctrlKey, e.metaKey];
  if (other || (mod && !typed) !== modifiers.includes('Mod')) return false;
  if ((e.altKey && !typed) !== modifiers.includes('Alt')) return false;
  if (!isSign(key) && e.shiftKey !== modifiers.includes('Shift')) return false;
  const name = e.key === ' ' ? 'Space' : e.key;
  // Where the layout has other letters, or Alt makes signs of them, the key's place counts.
  return (
    name.toLowerCase() === key.toLowerCase() || (!/^[a-z]$/i.test(name) && e.code === `Key${key}`)
  );
}

/** Its keys, as they are written on a keyboard. */
export const keysOf = (shortcut: string): string[] =>
  shortcut.split('+').map((key) => {
    if (key === 'Mod') return isApple() ? '⌘' : 'Ctrl';
    return key === 'Alt' && isApple() ? '⌥' : key;
  });

/** As the attribute aria-keyshortcuts has it. */
export const ariaOf = (shortcut: string): string =>
  shortcut.replace('Mod', isApple() ? 'Meta' : 'Control');
