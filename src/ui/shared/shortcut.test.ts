// @vitest-environment happy-dom
// Which key presses are a shortcut, on which keyboard.
import { afterEach, expect, test, vi } from 'vitest';
import { ariaOf, keysOf, matches } from './shortcut.ts';

afterEach(() => vi.restoreAllMocks());

const on = (platform: string) => vi.spyOn(navigator, 'platform', 'get').mockReturnValue(platform);
const press = (key: string, held: KeyboardEventInit = {}) =>
  new KeyboardEvent('keydown', { key, ...held });

test.each<[string, string, string, KeyboardEventInit, boolean]>([
  ['Mod+Z', 'Win32', 'z', { ctrlKey: true }, true],
  ['Mod+Z', 'Win32', 'z', { metaKey: true }, false],
  ['Mod+Z', 'Win32', 'Z', { ctrlKey: true, shiftKey: true }, false],
  ['Mod+Z', 'Win32', 'z', {}, false],
  ['Mod+Z', 'MacIntel', 'z', { metaKey: true }, true],
  ['Mod+Z', 'MacIntel', 'z', { ctrlKey: true }, false],
  ['Mod+Z', 'Win32', 'я', { ctrlKey: true, code: 'KeyZ' }, true], // Cyrillic
  ['Mod+Z', 'Win32', 'y', { ctrlKey: true, code: 'KeyZ' }, false], // German
  ['Mod+Shift+Z', 'Win32', 'Z', { ctrlKey: true, shiftKey: true }, true],
  ['Alt+Shift+D', 'MacIntel', 'Î', { altKey: true, shiftKey: true, code: 'KeyD' }, true],
  ['[', 'Win32', '[', { ctrlKey: true, altKey: true }, true], // AltGr, as Windows reports it
  ['[', 'Win32', '[', { ctrlKey: true }, false],
  ['?', 'Win32', '?', { shiftKey: true }, true],
  ['Space', 'Win32', ' ', {}, true],
  ['Space', 'Win32', ' ', { shiftKey: true }, false],
  ['Enter', 'Win32', 'Enter', { shiftKey: true }, false],
])('%s on %s: %s with %o is %s', (shortcut, platform, key, held, is) => {
  on(platform);
  expect(matches(shortcut, press(key, held))).toBe(is);
});

test('keys are written as on the keyboard, and as the attribute has them', () => {
  on('Win32');
  expect([keysOf('Mod+Shift+Z'), ariaOf('Mod+Shift+Z')]).toEqual([
    ['Ctrl', 'Shift', 'Z'],
    'Control+Shift+Z',
  ]);
  on('MacIntel');
  expect([keysOf('Mod+Alt+.'), ariaOf('Mod+Alt+.')]).toEqual([['⌘', '⌥', '.'], 'Meta+Alt+.']);
});
