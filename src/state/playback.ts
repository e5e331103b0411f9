// Going through the recorded steps of a search: which one is shown, and whether they are replayed.
import type { SearchHistory } from './search-history.ts';

export interface Playback {
  /** The step that is shown; null: the newest, whatever comes. */
  at: number | null;
  playing: boolean;
}

export const live: Playback = { at: null, playing: false };

const placeOf = (history: SearchHistory, { at }: Playback) =>
  at === null ? history.length - 1 : history.indexOf(at);

/** Moved by so many recorded steps, within what is recorded. */
export function stepped(history: SearchHistory, playback: Playback, by: number): Playback {
  const to = placeOf(history, playback) + by;
  return { at: history.stepAt(Math.max(0, Math.min(history.length - 1, to))), playing: false };
}

/** A replay that begins: from the shown step, or from the first where the newest is shown. */
export function replayed(history: SearchHistory, playback: Playback): Playback {
  const isNewest = placeOf(history, playback) >= history.length - 1;
  return { at: isNewest ? history.stepAt(0) : playback.at, playing: true };
}

/** The next picture of a replay of at most so many; after the last one it is live. */
export function nextPicture(
  history: SearchHistory,
  playback: Playback,
  pictures: number,
): Playback {
  const end = history.length - 1;
  const next = placeOf(history, playback) + Math.max(1, Math.ceil(end / pictures));
  return next < end ? { at: history.stepAt(next), playing: true } : live;
}
