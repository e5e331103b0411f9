// Goes through the recorded steps of a search: slider, [ and ], replay, back to live.
import { memo, useCallback, useEffect, useState } from 'react';
import { Button } from '../shared/controls.tsx';
import { PauseIcon, PlayIcon } from '../shared/icons.tsx';
import type { FrameView } from './frame-view.ts';

/** A replay shows so many pictures a second, and takes no longer than this. */
const picturesPerSecond = 10;
const secondsAtMost = 15;

export interface ScrubberProps {
  view: FrameView;
  /** The step that was asked for; null: the newest, whatever comes. */
  at: number | null;
  /** Changes as the history grows. */
  version: number;
}

/** True where a key belongs to what is being typed into. */
const typing = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  (target.isContentEditable ||
    ['TEXTAREA', 'SELECT'].includes(target.tagName) ||
    (target instanceof HTMLInputElement && target.type !== 'range'));

export const Scrubber = memo(function Scrubber({ view, at }: ScrubberProps) {
  const { history } = view;
  const [playing, setPlaying] = useState(false);
  const last = Math.max(0, history.length - 1);
  const index = at === null ? last : history.indexOf(at);
  // Keys and the replay count from what is recorded now, which may be more than what was rendered.
  const place = useCallback(
    () => (view.at === null ? view.history.length - 1 : view.history.indexOf(view.at)),
    [view],
  );
  const go = useCallback(
    (to: number) => {
      const { length } = view.history;
      if (length > 0) view.show(view.history.stepAt(Math.max(0, Math.min(length - 1, to))));
    },
    [view],
  );

  useEffect(() => {
    const onKey = (e: KeyboardEvent) => {
      const by = e.key === '[' ? -1 : e.key === ']' ? 1 : 0;
      // AltGr, which some keyboards need for brackets, reports Control and Alt too.
      if (
        by === 0 ||
        e.metaKey ||
        ((e.ctrlKey || e.altKey) && !e.getModifierState('AltGraph')) ||
        typing(e.target)
      )
        return;
      e.preventDefault();
      setPlaying(false);
      go(place() + by);
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [place, go]);

  useEffect(() => {
    if (!playing) return;
    const timer = setInterval(() => {
      const end = view.history.length - 1;
      const next = place() + Math.max(1, Math.ceil(end / (picturesPerSecond * secondsAtMost)));
      if (next < end) return go(next);
      setPlaying(false);
      view.show(null);
    }, 1000 / picturesPerSecond);
    return () => clearInterval(timer);
  }, [playing, view, place, go]);

  const step = history.length > 0 ? history.stepAt(index) : 0;
  const play = () => {
    if (!playing && place() >= history.length - 1) go(0);
    setPlaying(!playing);
  };
  return (
    <div
      className="flex flex-wrap items-center gap-x-3 gap-y-2"
      data-testid="scrubber"
      data-at={at ?? 'live'}
    >
      <Button look="small" onPress={play} isDisabled={history.length < 2}>
        {playing ? <PauseIcon /> : <PlayIcon />}
        {playing ? 'Hold' : 'Replay'}
      </Button>
      <input
        type="range"
        aria-label="Recorded step"
        aria-valuetext={`step ${step} of ${history.report.steps}`}
        aria-keyshortcuts="[ ]"
        className="h-6 min-w-40 grow cursor-pointer accent-accent"
        min={0}
        max={last}
        value={index}
        disabled={history.length < 2}
        onChange={(e) => {
          setPlaying(false);
          go(Number(e.currentTarget.value));
        }}
      />
      <span className="min-w-28 text-right text-sm text-muted tabular-nums">
        step {step} of {history.report.steps}
      </span>
      <Button
        look="small"
        aria-pressed={at === null}
        className={at === null ? 'border-accent' : ''}
        onPress={() => {
          setPlaying(false);
          view.show(null);
        }}
      >
        Live
      </Button>
      <p className="hint w-full">
        Keys <kbd>[</kbd> and <kbd>]</kbd> go back and forth.
        {history.every > 1 &&
          ` One step in ${history.every} is kept: the whole search would not fit in memory.`}
      </p>
    </div>
  );
});
