// What the page and the library worker say to each other: models on the Hub and those stored in
// this browser. Types only.
import type { HubModel } from '../../data/hub/hub.ts';
import type { StoredModel } from '../../data/hub/opfs.ts';

export type { HubModel, StoredModel };

/** How far a download is; `waiting` says why nothing comes at the moment. */
export interface DownloadProgress {
  done: number;
  total: number;
  waiting: string | null;
}

/** Commands of the library worker. Tokens are passed with each command and kept nowhere. */
export interface LibraryApi {
  list(): Promise<StoredModel[]>;
  /** What of a model on the Hub can be loaded. @throws InputError */
  find(id: string, revision: string, token: string): Promise<HubModel[]>;
  /** The config.json of what was found, as text; null for a .gguf file. @throws InputError */
  config(offer: HubModel, token: string): Promise<string | null>;
  /**
   * Begins a download, or goes on with one by its key; one at a time.
   * @throws InputError; what has come stays
   */
  download(
    what: HubModel | string,
    token: string,
    onProgress: (progress: DownloadProgress) => void,
  ): Promise<{ key: string; paused: boolean }>;
  pause(): void;
  /** Deletes a stored model; a download of it ends first. */
  remove(key: string): Promise<void>;
}
