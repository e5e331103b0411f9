// Models on the Hub and those stored in this browser, as the page shows them.
import type { DownloadProgress, HubModel, StoredModel } from '../worker/protocol/library-api.ts';

export interface LibraryState {
  /** Null before they were first listed. */
  stored: readonly StoredModel[] | null;
  finding: boolean;
  /** What was found of the model last asked for. */
  offers: readonly HubModel[];
  download: (DownloadProgress & { name: string }) | null;
}

export type LibraryEvent =
  | { type: 'library-listed'; stored: readonly StoredModel[] }
  | { type: 'hub-finding' }
  | { type: 'hub-found'; offers: readonly HubModel[] }
  | { type: 'download-began'; name: string; total: number }
  | { type: 'download-progress'; progress: DownloadProgress }
  | { type: 'download-ended' };

export const noLibrary: LibraryState = { stored: null, finding: false, offers: [], download: null };

/** The next state; the same object for other events. */
export function reduceLibrary(
  state: LibraryState,
  event: LibraryEvent | { type: string },
): LibraryState {
  if (!isOurs(event)) return state;
  switch (event.type) {
    case 'library-listed':
      return { ...state, stored: event.stored };
    case 'hub-finding':
      return { ...state, finding: true, offers: [] };
    case 'hub-found':
      return { ...state, finding: false, offers: event.offers };
    case 'download-began':
      return {
        ...state,
        download: { name: event.name, done: 0, total: event.total, waiting: null },
      };
    case 'download-progress': // one may still come after the end
      return state.download
        ? { ...state, download: { ...state.download, ...event.progress } }
        : state;
    case 'download-ended':
      return { ...state, download: null };
  }
}

const types: readonly LibraryEvent['type'][] = [
  'library-listed',
  'hub-finding',
  'hub-found',
  'download-began',
  'download-progress',
  'download-ended',
];
const isOurs = (event: { type: string }): event is LibraryEvent =>
  types.some((type) => type === event.type);

/** How a model is called: its id, and its file where it is one of several. */
export const nameOfModel = ({ id, gguf }: Pick<StoredModel, 'id' | 'gguf'>): string =>
  gguf === null ? id : `${id}/${gguf}`;
