// What a command is: something that a person can do to the whole page, by a button, by a key, or
// from a list of all.
import type { State } from '../../state/state.ts';
import type { AppContextValue } from '../context.ts';

export interface Command {
  /** The name of its file, too. */
  id: string;
  /** Where it belongs in a list of commands. */
  group: 'Model and data' | 'Run' | 'Search' | 'Review' | 'Answers' | 'Page';
  /** A verb, as its button has it. */
  label(state: State): string;
  /** As shortcut.ts has them; null: none. */
  shortcut: string | null;
  /** The part of the page that its shortcut is pressed in, also while typing; else anywhere. */
  within?: { selector: string; words: string };
  /** A key that is held does it again and again. */
  repeats?: true;
  /** Whether it has a place on the page now: a button and a shortcut. Always, where left out. */
  isVisible?(state: State): boolean;
  /** Why it can't be done now, in a sentence; null: it can. */
  why(state: State): string | null;
  run(page: AppContextValue): unknown;
}

export const isVisible = (command: Command, state: State): boolean =>
  command.isVisible?.(state) ?? true;

/** Does what a command says if that can be done now; else the live region says why not. */
export function perform(command: Command, page: AppContextValue): void {
  const why = command.why(page.app.getState());
  if (why === null) void command.run(page);
  else page.app.dispatch({ type: 'said', text: why });
}
