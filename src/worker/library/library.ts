// The library worker's work: models on the Hub and those stored in this browser.
import type { HubModel } from '../../data/hub/hub.ts';
import { HUB, type HubAccess, PATIENCE } from '../../data/hub/hub-request.ts';
import type { ModelStore, StoredModel } from '../../data/hub/opfs.ts';
import { InputError } from '../../util/error.ts';
import type { DownloadProgress, LibraryApi } from '../protocol/library-api.ts';
import { storedModels } from './storage.ts';

const reportAfter = 100; // milliseconds; changes within them are reported together

/** What a library is made of; tests give their own. */
export interface LibraryParts {
  store: ModelStore;
  access: Pick<HubAccess, 'address' | 'patience'>;
  /** Bytes that this browser still gives the page. */
  room(): Promise<number>;
}

const browserParts = (): LibraryParts => ({
  store: storedModels(),
  access: { address: HUB, patience: PATIENCE },
  room: async () => {
    const { quota, usage } = await navigator.storage.estimate();
    return (quota ?? Number.POSITIVE_INFINITY) - (usage ?? 0);
  },
});

/** One download at a time. */
export class Library implements LibraryApi {
  #download: { key: string | null; pause: AbortController; ended: Promise<unknown> } | null = null;

  constructor(private readonly parts: LibraryParts = browserParts()) {}

  list(): Promise<StoredModel[]> {
    return this.parts.store.list();
  }

  async find(id: string, revision: string, token: string): Promise<HubModel[]> {
    const { findModel } = await import('../../data/hub/hub.ts');
    return findModel(id, revision.trim() || 'main', {
      ...this.parts.access,
      token: token.trim() || null,
    });
  }

  async config(offer: HubModel, token: string): Promise<string | null> {
    if (offer.gguf !== null) return null;
    const { offeredConfig } = await import('../../data/hub/hub.ts');
    return offeredConfig(offer, { ...this.parts.access, token: token.trim() || null });
  }

  async download(
    what: HubModel | string,
    token: string,
    onProgress: (progress: DownloadProgress) => void,
  ) {
    if (this.#download)
      throw new InputError('bad-option', 'A model is being downloaded: pause the download first.');
    const pause = new AbortController();
    const going = {
      key: null as string | null,
      pause,
      ended: Promise.resolve() as Promise<unknown>,
    };
    this.#download = going;
    const work = async () => {
      going.key = typeof what === 'string' ? what : await this.parts.store.begin(what);
      return this.#fetch(going.key, token, pause.signal, onProgress);
    };
    try {
      const ended = work();
      going.ended = ended.catch(() => undefined);
      return await ended;
    } finally {
      this.#download = null;
    }
  }

  async #fetch(
    key: string,
    token: string,
    signal: AbortSignal,
    onProgress: (progress: DownloadProgress) => void,
  ) {
    const { store, access } = this.parts;
    const stored = (await store.list()).find((model) => model.key === key);
    const missing = stored ? stored.bytes - stored.here : 0;
    const room = await this.parts.room();
    if (missing > room) {
      const mib = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
      if (stored?.here === 0) await store.remove(key);
      throw new InputError(
        'too-large',
        `${stored!.id}: ${mib(missing)} more are needed, but this browser gives this page only ${mib(room)}. Delete a stored model, or free disk space.`,
      );
    }
    const progress: DownloadProgress = {
      done: stored?.here ?? 0,
      total: stored?.bytes ?? 0,
      waiting: null,
    };
    let timer: ReturnType<typeof setTimeout> | undefined;
    const send = () => {
      timer = undefined;
      onProgress({ ...progress });
    };
    const report = (change: Partial<DownloadProgress>) => {
      Object.assign(progress, change);
      timer ??= setTimeout(send, reportAfter);
    };
    try {
      const full: HubAccess = {
        ...access,
        token: token.trim() || null,
        signal,
        onWait: (seconds, why) =>
          report({ waiting: `${why}; next try in ${Math.ceil(seconds)} s` }),
      };
      await store.download(key, full, (done, total) => report({ done, total, waiting: null }));
      return { key, paused: false };
    } catch (error) {
      if (signal.aborted) return { key, paused: true };
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  pause(): void {
    this.#download?.pause.abort();
  }

  async remove(key: string): Promise<void> {
    if (this.#download?.key === key) {
      this.pause();
      await this.#download.ended;
    }
    await this.parts.store.remove(key);
  }
}
