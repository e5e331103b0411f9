// A choice that a person made on this page, kept on this device where that is allowed.
import { useSyncExternalStore } from 'react';

export interface Preference<T extends string> {
  get(): T;
  set(value: T): void;
  /** Calls `listener` after every change; returns how to stop it. */
  subscribe(listener: () => void): () => void;
}

/** The first value stands while nothing else was chosen. */
export function preference<const T extends string>(
  key: string,
  values: readonly [T, ...T[]],
): Preference<T> {
  const listeners = new Set<() => void>();
  let value: T | undefined;
  const stored = (): T => {
    try {
      const saved = localStorage.getItem(key);
      return values.find((v) => v === saved) ?? values[0];
    } catch {
      return values[0]; // storage may be forbidden
    }
  };
  return {
    get: () => (value ??= stored()),
    set(next) {
      value = next;
      try {
        if (next === values[0]) localStorage.removeItem(key);
        else localStorage.setItem(key, next);
      } catch {
        // it holds until the page is closed
      }
      for (const listener of listeners) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** What is chosen; the component renders again when that changes. */
export const usePreference = <T extends string>({ subscribe, get }: Preference<T>): T =>
  useSyncExternalStore(subscribe, get);
