// Which step of a search is shown: the newest or an older one. Heatmaps follow it outside React,
// figures at their own pace.
import { type RefObject, useEffect, useLayoutEffect, useRef, useState } from 'react';
import type { SearchFrame, SearchHistory } from '../../state/search-history.ts';
import { usePage } from '../context.ts';

/** The shown step of a history. */
export class FrameView {
  readonly history: SearchHistory;
  /** The step that was asked for; null: the newest, whatever comes. */
  at: number | null = null;
  /** Null before the start has come. */
  frame: SearchFrame | null;
  #listeners = new Set<() => void>();

  constructor(history: SearchHistory) {
    this.history = history;
    this.frame = history.frame();
  }

  /** Shows a step, or the newest (null). */
  show(at: number | null): void {
    this.at = at;
    this.frame = this.history.frame(at === null ? undefined : this.history.indexOf(at));
    for (const listener of this.#listeners) listener();
  }

  /** Calls `listener` whenever another frame is shown; returns how to stop it. */
  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };
}

/** A view that follows its history, and the step that a person chose. */
export function useFrameView(history: SearchHistory): FrameView {
  const { app } = usePage();
  const [view, setView] = useState(() => new FrameView(history));
  if (view.history !== history) setView(new FrameView(history));
  useLayoutEffect(() => {
    const follow = () => {
      if (view.at === null) view.show(null);
    };
    const choose = () => {
      const { at } = app.getState().playback;
      if (at !== view.at) view.show(at);
    };
    choose();
    follow(); // what came before this effect ran
    const stops = [view.history.subscribe(follow), app.subscribe(choose)];
    return () => stops.forEach((stop) => stop());
  }, [view, app]);
  return view;
}

/**
 * Milliseconds between two refreshes of the figures and charts; the heatmaps follow every event.
 */
const figuresEvery = 1000;

/** The shown step as a value. */
export interface Figures {
  at: number | null;
  frame: SearchFrame | null;
  /** Of the history. */
  version: number;
}

const figuresOf = (view: FrameView): Figures => ({
  at: view.at,
  frame: view.frame,
  version: view.history.version,
});

/**
 * What is shown, for components that render: at most once a second while live, at once when a
 * person chose a step.
 */
export function useFigures(view: FrameView): Figures {
  const [figures, setFigures] = useState(() => figuresOf(view));
  useLayoutEffect(() => {
    let last = Number.NEGATIVE_INFINITY;
    let shown = figuresOf(view);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const show = () => {
      clearTimeout(timer);
      timer = undefined;
      last = performance.now();
      shown = figuresOf(view);
      setFigures(shown);
    };
    const soon = (atOnce: boolean) => {
      const wait = atOnce ? 0 : last + figuresEvery - performance.now();
      if (wait <= 0) show();
      else timer ??= setTimeout(show, wait);
    };
    show();
    const stop = view.subscribe(() =>
      soon(view.at !== null || shown.at !== null || shown.frame === null),
    );
    // The scrubber's range grows also while an older step is shown.
    const stopGrowth = view.history.subscribe(() => soon(false));
    return () => {
      clearTimeout(timer);
      stop();
      stopGrowth();
    };
  }, [view]);
  return figures;
}

/** Keeps an element's data-step at the shown step (−1: none yet). */
export function useStepMark<E extends HTMLElement>(view: FrameView): RefObject<E | null> {
  const element = useRef<E>(null);
  useEffect(() => {
    const mark = () => element.current?.setAttribute('data-step', String(view.frame?.step ?? -1));
    mark();
    return view.subscribe(mark);
  }, [view]);
  return element;
}
