// The store: state without React, changed by dispatched events only.
import { createStore } from 'zustand/vanilla';
import { Series } from './series.ts';
import { type AppEvent, initialState, reduce, type State } from './state.ts';

/** What the page holds: the state, and the series of the current run beside it. */
export function createAppStore(start: State = initialState()) {
  const store = createStore<State>(() => start);
  const series = new Series();
  const dispatch = (event: AppEvent): void => {
    if (event.type === 'run-asked' || event.type === 'model-ready') series.clear();
    if (event.type === 'steps') series.append(event.series);
    if (event.type === 'validation') series.addValidation({ step: event.step, loss: event.loss });
    store.setState((state) => reduce(state, event), true);
  };
  return { getState: store.getState, subscribe: store.subscribe, store, series, dispatch };
}

export type AppStore = ReturnType<typeof createAppStore>;
