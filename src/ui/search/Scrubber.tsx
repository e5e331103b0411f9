// Goes through the recorded steps of a search: slider, step by step, replay, back to live.
import { memo, useEffect } from 'react';
import { nextPicture } from '../../state/playback.ts';
import { followLive } from '../commands/follow-live.ts';
import { replay } from '../commands/replay.ts';
import { stepBack } from '../commands/step-back.ts';
import { stepForward } from '../commands/step-forward.ts';
import { useApp, usePage } from '../context.ts';
import { CommandButton, Keys } from '../shared/CommandButton.tsx';
import { BackIcon, ForwardIcon, PauseIcon, PlayIcon } from '../shared/icons.tsx';
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

export const Scrubber = memo(function Scrubber({ view, at }: ScrubberProps) {
  const { history } = view;
  const { app } = usePage();
  const playing = useApp((s) => s.playback.playing);
  const last = Math.max(0, history.length - 1);
  const index = at === null ? last : history.indexOf(at);
  useEffect(() => {
    if (!playing) return;
    const timer = setInterval(() => {
      const pictures = picturesPerSecond * secondsAtMost;
      const playback = nextPicture(history, app.getState().playback, pictures);
      app.dispatch({ type: 'playback', playback });
    }, 1000 / picturesPerSecond);
    return () => clearInterval(timer);
  }, [playing, history, app]);

  const step = history.length > 0 ? history.stepAt(index) : 0;
  return (
    <div
      className="flex flex-wrap items-center gap-x-3 gap-y-2"
      data-testid="scrubber"
      data-at={at ?? 'live'}
    >
      <CommandButton command={replay} look="small" icon={playing ? <PauseIcon /> : <PlayIcon />} />
      <div className="flex min-w-60 grow items-center gap-2">
        <CommandButton command={stepBack} look="small" hideLabel icon={<BackIcon />} />
        <input
          type="range"
          aria-label="Recorded step"
          aria-valuetext={`step ${step} of ${history.report.steps}`}
          className="h-6 min-w-0 grow cursor-pointer accent-accent"
          min={0}
          max={last}
          value={index}
          disabled={history.length < 2}
          onChange={(e) => {
            const shown = history.stepAt(Number(e.currentTarget.value));
            app.dispatch({ type: 'playback', playback: { at: shown, playing: false } });
          }}
        />
        <CommandButton command={stepForward} look="small" hideLabel icon={<ForwardIcon />} />
      </div>
      <span className="min-w-28 text-right text-sm text-muted tabular-nums">
        step {step} of {history.report.steps}
      </span>
      <CommandButton
        command={followLive}
        look="small"
        pressed={at === null}
        className={at === null ? 'border-accent' : ''}
      />
      <p className="hint w-full">
        Keys <Keys command={stepBack} /> and <Keys command={stepForward} /> step back and forward.
        {history.every > 1 && ` Only one step in ${history.every} is recorded, to save memory.`}
      </p>
    </div>
  );
});
