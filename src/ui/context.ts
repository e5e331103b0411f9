// How components reach the store, the actions and the series.
import { createContext, useContext, useSyncExternalStore } from 'react';
import { useStore } from 'zustand';
import type { Actions } from '../state/actions.ts';
import type { RecentRouting } from '../state/recent-routing.ts';
import type { SearchHistory } from '../state/search-history.ts';
import type { Series } from '../state/series.ts';
import type { State } from '../state/state.ts';
import type { AppStore } from '../state/store.ts';

/** What the whole page shares. */
export interface AppContextValue {
  app: AppStore;
  actions: Actions;
}

export const AppContext = createContext<AppContextValue | null>(null);

export function usePage(): AppContextValue {
  const value = useContext(AppContext);
  if (!value) throw new Error('Internal error: a component stands outside the app');
  return value;
}

/** A part of the state; the component renders again when it changes. */
export const useApp = <T>(select: (state: State) => T): T => useStore(usePage().app.store, select);
export const useActions = (): Actions => usePage().actions;

/** The run's series; with `follow` the component renders again with every change. */
export function useSeries(follow = true): Series {
  const { series } = usePage().app;
  useSyncExternalStore(series.subscribe, () => (follow ? series.version : 0));
  return series;
}

/** The GSVs of the run's search, or null; the component renders again as they grow. */
export function useSearchHistory(): SearchHistory | null {
  const { app } = usePage();
  useApp((s) => s.run.search);
  useSeries();
  return app.history;
}

/** Where the training's tokens go, or null; the component renders again as it changes. */
export function useRouting(): RecentRouting | null {
  const { app } = usePage();
  useApp((s) => s.run.report);
  useSeries();
  return app.routing;
}
