// The one place that listens to the keyboard, for all commands.
import { useEffect } from 'react';
import { commands } from '../commands.ts';
import { usePage } from '../context.ts';
import { type Command, isVisible, perform } from '../shared/command.ts';
import { isSingleKey, matches, singleKeys } from '../shared/shortcut.ts';

/** Controls that need the space bar themselves. */
const pressable =
  'button, a, summary, [role=radio], [role=switch], [role=gridcell], [role=slider], [type=range]';

const isTyping = (target: Element): boolean =>
  target.matches('textarea, select, input:not([type=range])') ||
  (target instanceof HTMLElement && target.isContentEditable);

/** Whether a key that was pressed there is meant for that command. */
function isMeant({ shortcut, within }: Command, target: EventTarget | null): boolean {
  if (!(target instanceof Element)) return !within;
  if (within) return target.matches(within.selector);
  if (isTyping(target) || (isSingleKey(shortcut!) && singleKeys.get() === 'off')) return false;
  return shortcut !== 'Space' || !target.closest(pressable);
}

export function useShortcuts(): void {
  const page = usePage();
  useEffect(() => {
    const onKey = (e: KeyboardEvent) => {
      const state = page.app.getState();
      if (e.defaultPrevented || e.isComposing || state.shortcuts) return;
      const command = commands.find(
        (c) => c.shortcut && isVisible(c, state) && matches(c.shortcut, e) && isMeant(c, e.target),
      );
      if (!command) return;
      e.preventDefault();
      if (!e.repeat || command.repeats) perform(command, page);
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  }, [page]);
}
