// The store: state without React, changed by dispatched events only.
import { createStore, type StoreApi } from 'zustand/vanilla';
import type { Action, AppEvent } from './events.ts';
import { RecentRouting } from './recent-routing.ts';
import { SearchHistory } from './search-history.ts';
import { Series } from './series.ts';
import { initialState, reduce, type State } from './state.ts';

/** What the page holds: the state, and beside it what grows with every step of the current run. */
export interface AppStore {
  getState(): State;
  subscribe(listener: (state: State, before: State) => void): () => void;
  store: StoreApi<State>;
  series: Series;
  /** The GSVs of the run's search; null before it has begun. */
  readonly history: SearchHistory | null;
  /**
   * Routing of the training; null before it has begun, and for plain LoRA. Its changes are told
   * with those of the series.
   */
  readonly routing: RecentRouting | null;
  dispatch(event: AppEvent): void;
}

export function createAppStore(start: State = initialState()): AppStore {
  const store = createStore<State>(() => start);
  const series = new Series();
  let history: SearchHistory | null = null;
  let routing: RecentRouting | null = null;
  let lastNotice = 0;

  /** Series first: components that render for the new state find them complete. */
  function record(event: AppEvent): void {
    if (
      event.type === 'run-asked' ||
      event.type === 'model-ready' ||
      event.type === 'adapter-ready'
    ) {
      history = routing = null;
      series.clear();
    } else if (event.type === 'search-began') {
      history = new SearchHistory(event.report);
    } else if (event.type === 'upper') {
      history?.append(event.series);
      series.appendUpper(event.series);
    } else if (event.type === 'training-began') {
      routing = event.report.routed.length > 0 ? new RecentRouting(event.report.routed) : null;
    } else if (event.type === 'routing') {
      routing?.append(event.shares);
    } else if (event.type === 'steps') {
      series.append(event.stage, event.series);
    } else if (event.type === 'validation') {
      series.addValidation({ step: event.step, loss: event.loss });
    }
  }

  return {
    getState: store.getState,
    subscribe: store.subscribe,
    store,
    series,
    get history() {
      return history;
    },
    get routing() {
      return routing;
    },
    dispatch(event) {
      record(event);
      const action: Action = event.type === 'failure' ? { ...event, id: ++lastNotice } : event;
      store.setState((state) => reduce(state, action), true);
    },
  };
}
